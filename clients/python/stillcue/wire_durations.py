"""Converts protobuf durations to seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from google.protobuf.duration_pb2 import Duration


def seconds_of(duration: Duration) -> float:
    """Returns the seconds of a duration."""
    return duration.ToNanoseconds() / 1e9
