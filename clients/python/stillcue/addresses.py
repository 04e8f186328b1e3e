"""Reads addresses as people write them: ``HOST:PORT``, Unix sockets and gRPC's own targets.

Every function raises ``ValueError`` with a text that completes "ADDRESS ..." and says what to leave out or to add.
Client and server share these rules; ``shown`` quotes an address in a message. Looks up no name.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from urllib.parse import unquote

# The path of a socket has 108 bytes with its final zero (unix(7)).
MAX_UNIX_PATH_BYTES = 107
_MAX_PORT = 65_535
_EXAMPLE_PORT = 50_051
_UNIX = "unix:"
_ABSTRACT = "unix-abstract:"
# Targets whose form gRPC judges itself (https://github.com/grpc/grpc/blob/master/doc/naming.md, and xDS).
_OTHER_GRPC_SCHEMES = ("vsock:", "xds:", "google-c2p:")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/{1,3}")
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?")
_NUMBERS = re.compile(r"[0-9]+(\.[0-9]+){3}")


def shown(address: str) -> str:
    """Returns an address quoted for a message, in ASCII and without the user and password that it may hold."""
    scheme, slashes, rest = address.rpartition("//")
    before, at, after = rest.rpartition("@")
    return ascii(f"{scheme}{slashes}…@{after}" if before and at else address).replace(r"\u2026", "…")


def check_target(target: str) -> None:
    """Checks the address that a client calls: ``HOST:PORT``, ``unix:PATH`` or another target of gRPC."""
    if target.startswith(_UNIX):
        unix_path(target)
    elif target.startswith(_ABSTRACT):
        _check_length(target.removeprefix(_ABSTRACT), "name")
    elif target.startswith(("dns:", "ipv4:", "ipv6:")):
        scheme, _, rest = target.partition(":")
        for item in rest.rpartition("/")[2].split(","):
            host, port = split_host(item)
            if port:
                _port(port, 1)
            if scheme != "dns" and not _is_ip(host):
                raise ValueError(f"names the host {host!r}, which is no address of {scheme}; write dns:///{item}")
            if not host:
                raise ValueError("has no host; write HOST:PORT")
    elif not target.startswith(_OTHER_GRPC_SCHEMES):
        host, number = host_and_port(target, example_host="localhost", lowest_port=1)
        if _is_ip(host) and ipaddress.ip_address(host).is_unspecified:
            raise ValueError(f"is an address to listen on, not to call; for this machine write localhost:{number}")


def unix_path(address: str) -> str:
    """Returns the path of ``unix:PATH`` or ``unix:///PATH``, with percent escapes decoded as gRPC decodes them."""
    path = address.removeprefix(_UNIX)
    if path.startswith("//"):
        path = path.removeprefix("//")
        if path and not path.startswith("/"):
            raise ValueError(f"has two slashes, which only a whole path may follow; write unix:{path}")
    for character in "?#":
        if character in path:
            escaped = path.replace("?", "%3F").replace("#", "%23")
            raise ValueError(f"holds {character!r}, which ends the path of an address; write unix:{escaped}")
    path = unquote(path)
    _check_length(path, "path")
    return path


def host_and_port(text: str, *, example_host: str, lowest_port: int) -> tuple[str, int]:
    """Returns the host, without brackets, and the port of ``HOST:PORT``.

    ``example_host`` stands in messages for a missing host; ``lowest_port`` is 0 or 1.
    """
    if not text.strip():
        raise ValueError(f"is empty; write HOST:PORT, for example {example_host}:{_EXAMPLE_PORT}")
    if text.startswith(("/", "./", "~")):
        raise ValueError(f"is a path; for a Unix socket write unix:{text}, for a port HOST:PORT")
    if "," in text:
        raise ValueError("names more than one address; give one")
    remedies: list[str] = []
    rest = _without_extras(text, remedies)
    given_host, given_port = split_host(rest)
    if not given_port and given_host.isdecimal():
        given_host, given_port = "", given_host
    if not given_host:
        remedies.append("add the host")
    if not given_port:
        remedies.append("add the port")
    if ":" in given_host and not rest.startswith("["):
        remedies.append("put the IPv6 address in brackets")
    if rest.startswith("[") and ":" not in given_host:
        remedies.append("leave out the brackets")
    port = _port(given_port or str(_EXAMPLE_PORT), lowest_port)
    host = _checked_host(given_host or example_host, remedies)
    if remedies:
        lead = "" if given_host and given_port else "for example "
        raise ValueError(f"is not HOST:PORT; {', '.join(remedies)}: {lead}{join_host(host, port)}")
    return host, port


def join_host(host: str, port: int) -> str:
    """Returns ``HOST:PORT``, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def split_host(text: str) -> tuple[str, str]:
    """Splits ``HOST:PORT``, ``[IPv6]:PORT`` or a host alone; the host without brackets, the port as text or empty.

    Of an IPv6 address without brackets, a last number from 1000 on is taken for the port.
    """
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, rest.removeprefix(":")
    host, _, port = text.rpartition(":")
    if ":" in host and (_is_ip(text) and (not port.isdecimal() or int(port) < 1000 or not _is_ip(host))):
        return text, ""
    return (host, port) if ":" in text else (text, "")


def _without_extras(text: str, remedies: list[str]) -> str:
    """Takes away what does not belong to ``HOST:PORT``, and adds to ``remedies`` what was taken."""
    if text != (rest := "".join(text.split())):
        remedies.append("leave out the white space")
    if not rest.isascii():
        composed = unicodedata.normalize("NFKC", rest)
        kept = (character for character in composed if unicodedata.category(character) not in {"Cf", "Cc"})
        plain = "".join("-" if unicodedata.category(character) == "Pd" else character for character in kept)
        if plain.isascii():
            remedies.append("write it in ASCII")
        rest = plain
    if found := _SCHEME.match(rest):
        rest = rest[found.end() :]
        remedies.append(f"leave out {found[0]}")
    rest, path = re.match(r"([^/?#]*)(.*)", rest, re.DOTALL).groups()  # type: ignore[union-attr]  # matches any text
    _, at, rest = rest.rpartition("@")
    if at:
        remedies.append("leave out the user before @")
    if path:
        remedies.append(f"leave out {path} at the end")
    return rest


def _checked_host(host: str, remedies: list[str]) -> str:
    if not host.isascii():
        try:
            host = host.encode("idna").decode()
            remedies.append("write the host as the DNS does")
        except UnicodeError:
            raise ValueError(f"names the host {host!a}, which is no name of the DNS") from None
    if _is_ip(host) or (_HOST.fullmatch(host) and not _NUMBERS.fullmatch(host)):
        return host
    raise ValueError(f"names the host {host!r}, which is neither a name nor an IP address")


def _port(text: str, lowest: int) -> int:
    if not text.isdecimal() or not text.isascii() or not lowest <= int(text[:6]) <= _MAX_PORT:
        raise ValueError(f"has the port {text!r}, which is not a number from {lowest} to {_MAX_PORT}")
    return int(text)


def _check_length(name: str, kind: str) -> None:
    length = len(name.encode(errors="surrogateescape"))
    if not length:
        raise ValueError(f"has no {kind}; write for example unix:/run/stillcue.sock")
    if length > MAX_UNIX_PATH_BYTES:
        raise ValueError(
            f"has a {kind} of {length} bytes, and a Unix socket's may have {MAX_UNIX_PATH_BYTES}; choose a shorter one"
        )


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
