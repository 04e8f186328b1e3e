"""Durations of protobuf and seconds."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration


def encode_duration(seconds: float) -> Duration:
    """Seconds as a duration, to the nanosecond."""
    duration = Duration()
    duration.FromNanoseconds(round(seconds * 1e9))
    return duration


def encode_known(seconds: float | None) -> Duration | None:
    """Seconds as a duration; None leaves the field unset."""
    return None if seconds is None else encode_duration(seconds)
