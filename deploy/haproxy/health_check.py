"""The health check of a server, as bytes: one call of ``grpc.health.v1.Health/Check`` over HTTP/2.

HAProxy 2.6 cannot send it by ``http-check``: the message of a gRPC call begins with NUL bytes, which neither ``body``
nor ``body-lf`` can carry. ``tcp-check send-binary`` sends any bytes, so the frames of HTTP/2 are written here. Headers
are encoded by RFC 7541 without a dynamic table and without Huffman codes.
"""

from __future__ import annotations

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS = 0x0, 0x1, 0x4
_END_STREAM, _END_HEADERS = 0x1, 0x4
_STREAM = 1
# Indices of RFC 7541, appendix A.
_POST, _SCHEME_HTTP, _SCHEME_HTTPS = 3, 6, 7
_AUTHORITY, _PATH, _CONTENT_TYPE = 1, 4, 31
_PATH_OF_CHECK = "/grpc.health.v1.Health/Check"

# A message of gRPC: not compressed, 2 bytes long, field 1 (status) as a varint. SERVING is 1, NOT_SERVING 2.
ANSWERED = "000000000208"
NOT_SERVING = "00000000020802"


def check_bytes(authority: str, *, is_encrypted: bool) -> bytes:
    """Returns what the client of a connection sends for one check of the whole server (service name "")."""
    headers = b"".join(
        (
            _indexed(_POST),
            _indexed(_SCHEME_HTTPS if is_encrypted else _SCHEME_HTTP),
            _literal(_PATH, _PATH_OF_CHECK),
            _literal(_AUTHORITY, authority),
            _literal(_CONTENT_TYPE, "application/grpc"),
            bytes([0]) + _text("te") + _text("trailers"),
        )
    )
    empty_message = bytes(5)
    return b"".join(
        (
            _PREFACE,
            _frame(_SETTINGS, 0, 0, b""),
            _frame(_HEADERS, _END_HEADERS, _STREAM, headers),
            _frame(_DATA, _END_STREAM, _STREAM, empty_message),
        )
    )


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def _indexed(index: int) -> bytes:
    return bytes([0x80 | index])


def _literal(name_index: int, value: str) -> bytes:
    """A field that is not added to the dynamic table, with the name of the static table."""
    prefix = bytes([name_index]) if name_index < 15 else bytes([15, name_index - 15])
    return prefix + _text(value)


def _text(value: str) -> bytes:
    return bytes([len(value)]) + value.encode("ascii")
