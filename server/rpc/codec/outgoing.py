"""A message of a stream on its way out. Knows the wire format of one field; does not know where pixels come from.

A raw frame of 480p has 1.2 MB, and each copy of it costs about as much as sending it does. protobuf copies bytes when
they are put into a message, again when that message is put into another, and again when both are written. Here the
bytes of a frame stand beside the message and join it once, when it is written.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from stillcue.v1 import generate_pb2

_LENGTH_DELIMITED = 2  # https://protobuf.dev/programming-guides/encoding/#structure


@dataclass(slots=True)
class Outgoing:
    """``response`` is complete unless there is a ``frame``, which is its event; ``data`` is the frame's ``data``."""

    response: generate_pb2.GenerateResponse = field(default_factory=generate_pb2.GenerateResponse)
    frame: generate_pb2.Frame | None = None
    data: bytes | memoryview = b""

    @property
    def byte_count(self) -> int:
        """About what the message holds of memory and takes of the wire."""
        return self.response.ByteSize() + len(self.data)

    def SerializeToString(self) -> bytes:  # noqa: N802  the name that protobuf's messages have
        """The bytes of one ``GenerateResponse``."""
        if self.frame is None:
            return self.response.SerializeToString()
        head = self.frame.SerializeToString()
        data_start = _start(_DATA_FIELD, len(self.data))
        frame_start = _start(_FRAME_FIELD, len(head) + len(data_start) + len(self.data))
        return b"".join((self.response.SerializeToString(), frame_start, head, data_start, self.data))


def _start(number: int, byte_count: int) -> bytes:
    """Tag and length, what goes before the bytes of a field."""
    return _varint(number << 3 | _LENGTH_DELIMITED) + _varint(byte_count)


def _varint(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)


_FRAME_FIELD: int = generate_pb2.GenerateResponse.DESCRIPTOR.fields_by_name["frame"].number
_DATA_FIELD: int = generate_pb2.Frame.DESCRIPTOR.fields_by_name["data"].number
