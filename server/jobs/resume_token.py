"""The token that resumes a stream: the run of a job, and what its caller has received of it.

A token is ``KEY.REST``, or ``REST`` where the server has no replica key. A proxy routes a call that resumes by the key,
which the caller sends as the metadata ``stillcue-replica``. By the rest, another server can do the job again and go on
with the next event (docs/adr/0034).

Anyone who has the token can read the clip, so the server never logs it.
"""

from __future__ import annotations

import base64
import binascii
import secrets
import struct
from dataclasses import dataclass

from server.jobs.replica import IDENTITY_BYTES, KEY_LENGTH, Replica

_RUN_BYTES = 16
# run id, fingerprint, instance, seed, next number, event count, digest, elapsed milliseconds
_LAYOUT = struct.Struct(f">{_RUN_BYTES}s{IDENTITY_BYTES}s{IDENTITY_BYTES}sQIIQI")
_LARGEST = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a job: ``run_id`` is 16 random bytes; it has this seed, and began on ``replica``."""

    run_id: bytes
    seed: int
    replica: Replica

    def __repr__(self) -> str:
        return "Run(...)"


@dataclass(frozen=True, slots=True)
class Progress:
    """The part of a stream that its caller has received.

    ``next_number`` is the sequence number of the next event. ``event_count`` events without queue updates were
    received; ``digest`` is the sum of their digests modulo 2**64. ``elapsed_seconds`` is that of the last one.
    """

    next_number: int = 0
    event_count: int = 0
    digest: int = 0
    elapsed_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ResumeToken:
    """``progress`` is what the caller has received of ``run``."""

    run: Run
    progress: Progress

    def __repr__(self) -> str:
        return "ResumeToken(...)"

    def encode(self) -> str:
        """The token as text, safe in URLs and in headers; the elapsed time is rounded to milliseconds."""
        run, progress = self.run, self.progress
        data = _LAYOUT.pack(
            run.run_id,
            run.replica.fingerprint,
            run.replica.instance,
            run.seed,
            min(progress.next_number, _LARGEST),
            min(progress.event_count, _LARGEST),
            progress.digest,
            min(round(progress.elapsed_seconds * 1000), _LARGEST),
        )
        text = base64.urlsafe_b64encode(data).decode().rstrip("=")
        return f"{run.replica.key}.{text}" if run.replica.key else text

    @classmethod
    def decode(cls, text: str) -> ResumeToken:
        """Reads the text of a token. Raises ``ValueError``."""
        key, _, rest = text.rpartition(".")
        try:
            data = base64.b64decode(rest + "=" * (-len(rest) % 4), altchars="-_", validate=True)
        except binascii.Error:
            data = b""
        if len(data) != _LAYOUT.size or len(key) not in {0, KEY_LENGTH}:
            raise ValueError("not a resume token")
        run_id, fingerprint, instance, seed, number, count, digest, milliseconds = _LAYOUT.unpack(data)
        run = Run(run_id, seed, Replica(key, fingerprint, instance))
        return cls(run, Progress(number, count, digest, milliseconds / 1000))


def new_run_id() -> bytes:
    """Random bytes for a new job."""
    return secrets.token_bytes(_RUN_BYTES)
