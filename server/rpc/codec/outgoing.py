"""One message of a Generate stream, with the bytes of a frame beside the protobuf message.

A raw frame of 480p has 1.2 MB, and each copy costs about as much as sending the frame. protobuf copies the bytes of a
frame into the Frame, from there into the GenerateResponse, and again when the message is serialised. Here the bytes are
copied once, by the serialisation.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass, field

from server.rpc.codec.durations import encode_duration
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
        """About the bytes that the message holds in memory and takes on the wire."""
        return self.response.ByteSize() + len(self.data)

    def repeatable_digest(self) -> int | None:
        """See ``server.jobs.messages.Message``.

        The bytes of a frame count by their Adler-32, because the event loop computes it for each frame.
        """
        response, event = self.response, self.response.WhichOneof("event")
        match event:
            case "queue_update":
                return None
            case "accepted":
                content = response.accepted.settings.SerializeToString(deterministic=True)
            case "denoise_progress":
                step = response.denoise_progress
                content = f"{step.completed_step_count} {step.expert} {step.work}".encode() + step.preview.data
            case "attempt_ended":
                content = str(response.attempt_ended.number).encode()
            case "segment_ended":
                result = response.segment_ended
                content = f"{result.number} {result.first_frame_index} {result.frame_count}".encode()
            case "summary":
                content = b""
            case None:
                assert self.frame is not None
                event, content = "frame", f"{self.frame.index} {zlib.adler32(self.data)}".encode()
            case _:
                content = getattr(response, event).SerializeToString(deterministic=True)
        digest = hashlib.blake2b(f"{event} {response.attempt} ".encode() + content, digest_size=8).digest()
        return int.from_bytes(digest)

    def stamp(self, sequence_number: int, elapsed_seconds: float, resume_token: str) -> None:
        """See ``server.jobs.messages.Message``."""
        self.response.sequence_number = sequence_number
        self.response.elapsed.CopyFrom(encode_duration(elapsed_seconds))
        self.response.resume_token = resume_token

    def SerializeToString(self) -> bytes:  # noqa: N802  the name that protobuf's messages have
        """The bytes of one ``GenerateResponse``."""
        if self.frame is None:
            return self.response.SerializeToString()
        head = self.frame.SerializeToString()
        data_start = _start(_DATA_FIELD, len(self.data))
        frame_start = _start(_FRAME_FIELD, len(head) + len(data_start) + len(self.data))
        return b"".join((self.response.SerializeToString(), frame_start, head, data_start, self.data))


def _start(number: int, byte_count: int) -> bytes:
    """The tag and the length, which precede the bytes of a field."""
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
