"""The token that resumes a stream: 16 random bytes that name one run of one job, and the number of the next event.

Anyone who has the token can read the clip, so the server never logs it.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from dataclasses import dataclass

_RUN_BYTES = 16
_NUMBER_BYTES = 6


@dataclass(frozen=True, slots=True)
class ResumeToken:
    """``run_id`` names the run of the job; ``next_number`` is the sequence number of the first event to send."""

    run_id: bytes
    next_number: int

    def __repr__(self) -> str:
        return "ResumeToken(...)"

    def encode(self) -> str:
        """The token as text: base64 without padding, safe in URLs."""
        return base64.urlsafe_b64encode(self.run_id + self.next_number.to_bytes(_NUMBER_BYTES)).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> ResumeToken:
        """Reads the text of a token. Raises ``ValueError``."""
        try:
            data = base64.b64decode(text + "=" * (-len(text) % 4), altchars="-_", validate=True)
        except binascii.Error:
            data = b""
        if len(data) != _RUN_BYTES + _NUMBER_BYTES:
            raise ValueError("not a resume token")
        return cls(data[:_RUN_BYTES], int.from_bytes(data[_RUN_BYTES:]))


def new_run_id() -> bytes:
    """Random bytes for a new job."""
    return secrets.token_bytes(_RUN_BYTES)
