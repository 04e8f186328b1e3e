"""Tells how far a long pass over tensors is. Knows counts, bytes and the clock; knows no tensor."""

from __future__ import annotations

import time
from collections.abc import Callable

from export.quantise.writer import Progress

_REPORT_EVERY_SECONDS = 5.0
_GB = 1e9


def progress_lines(label: str, report: Callable[[str], None]) -> Callable[[Progress], None]:
    """Tells ``report`` a line every few seconds, with the time that is left at the pace so far, and one at the end."""
    started = time.monotonic()
    reported = started

    def advance(progress: Progress) -> None:
        nonlocal reported
        now = time.monotonic()
        is_last = progress.tensor_number == progress.tensor_count
        if not is_last and now - reported < _REPORT_EVERY_SECONDS:
            return
        reported = now
        left = (now - started) * (progress.byte_count / max(progress.byte_number, 1) - 1)
        report(
            f"{label}: {progress.tensor_number} of {progress.tensor_count} tensors, "
            f"{progress.byte_number / _GB:.2f} of {progress.byte_count / _GB:.2f} GB"
            + ("" if is_last else f", {left:.0f} s left")
        )

    return advance
