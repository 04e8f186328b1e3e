"""What a caller shows to take its stream up again. Knows its form; does not know jobs.

It names one run of one job, by chance bits that nobody can guess, and the event that comes next. Whoever has it can
read the clip, so it is logged nowhere.
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
    """``run_id`` is that of the job, ``next_number`` the sequence number of the event to go on with."""

    run_id: bytes
    next_number: int

    def __repr__(self) -> str:
        return "ResumeToken(...)"

    def encode(self) -> str:
        """The token as it travels."""
        return base64.urlsafe_b64encode(self.run_id + self.next_number.to_bytes(_NUMBER_BYTES)).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> ResumeToken:
        """Raises ``ValueError`` for what is no token."""
        try:
            data = base64.b64decode(text + "=" * (-len(text) % 4), altchars="-_", validate=True)
        except binascii.Error:
            data = b""
        if len(data) != _RUN_BYTES + _NUMBER_BYTES:
            raise ValueError("not a resume token")
        return cls(data[:_RUN_BYTES], int.from_bytes(data[_RUN_BYTES:]))


def new_run_id() -> bytes:
    """Chance bits for a new job."""
    return secrets.token_bytes(_RUN_BYTES)
