"""Authentication of callers, TLS, and quotas.

1. ``tls``: certificates of the port, read again when their files change;
2. ``callers``: the file of callers, each with the hash of a token or the name in a certificate;
3. ``authority``: tells who a call comes from, or refuses it;
4. ``quotas``: what each caller takes now, against what it may take;
5. ``guard``: the two together, in front of every call, before its request is read.

``python -m server.security.new_token`` makes a token and its line.
"""
