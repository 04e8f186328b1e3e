"""Segments of a chain in plain words: the part that an event belongs to, and what became of each segment."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stillcue.events import Accepted, DenoiseProgress, MatchReport, Settings, StageStarted, Summary
    from stillcue.segments import ChainDrift, ChainStop, Seam, SegmentResult


class PartNames:
    """Names the attempt and the segment of an event, each only where the job ``accepted`` can have more than one."""

    def __init__(self, accepted: Accepted | None = None) -> None:
        attempts = None if accepted is None else accepted.attempts
        self._attempt_count = 1 if attempts is None else attempts.maximum_count
        self.segment_count = 1 if accepted is None else max(len(accepted.settings.segments), 1)

    def prefix(self, event: StageStarted | DenoiseProgress | MatchReport) -> str:
        """Returns the beginning of a line about an event, for example ``segment 2 of 3: ``; often empty."""
        names = (
            [f"attempt {event.attempt} of {self._attempt_count}"] if self._attempt_count > 1 and event.attempt else []
        )
        if self.segment_count > 1 and event.segment:
            names.append(f"segment {event.segment} of {self.segment_count}")
        return f"{', '.join(names)}: " if names else ""


def planned_lines(settings: Settings) -> list[str]:
    """Returns the frames and the sentence of each segment of a chain; empty for a clip of one segment."""
    return [
        f"segment {item.number}, frames {item.first_frame_index} to {item.first_frame_index + item.frame_count - 1}: "
        f"“{item.prompt}”"
        for item in settings.segments
    ]


def segment_lines(summary: Summary) -> list[str]:
    """Returns the segments of a chain with their seams, its drift, and why it ended early; empty for a plain clip."""
    lines = [line for item in summary.segments for line in _segment(item)]
    if summary.chain_drift is not None and (drift := describe_drift(summary.chain_drift)):
        lines.append(drift)
    return [*lines, describe_stop(summary.chain_stop)] if summary.chain_stop is not None else lines


def describe_seam(seam: Seam) -> str:
    """Returns the measurements of a seam in one line, each with what is usual inside the segments."""
    return (
        f"seam at frame {seam.frame_index}: motion changes by {_percent(seam.motion_jump)} of a side "
        f"(inside {_percent(seam.motion_jump_inside)}), colours by {_percent(seam.colour_shift)} "
        f"(inside {_percent(seam.colour_shift_inside)})"
    )


def describe_drift(drift: ChainDrift) -> str:
    """Returns how far the end of a chain is from its beginning, in one line; empty if it was not measured."""
    parts = []
    if drift.subject_consistency is not None:
        parts.append(f"the subject at the end is {100 * drift.subject_consistency:.0f} % alike")
    if drift.loop_back is not None:
        parts.append(f"the clip returns to its beginning by {100 * drift.loop_back:.0f} %")
    return f"from beginning to end: {', '.join(parts)}" if parts else ""


def describe_stop(stop: ChainStop) -> str:
    """Returns why a chain ended before its last segment, and the remedy, in one line."""
    return (
        f"segment {stop.segment} was not made: its sentence matches the frame that it would begin from with "
        f"{stop.match_report.score:.0f} of 100, below {stop.minimum_score:g}; "
        "let it go on from what that frame shows, or require less"
    )


def _segment(result: SegmentResult) -> Iterator[str]:
    last = result.first_frame_index + result.frame_count - 1
    match = "" if result.match_report is None else f", match {result.match_report.score:.0f} of 100"
    chance = "" if result.success is None else f", good with {100 * result.success.probability:.0f} %"
    yield (
        f"segment {result.number}: frames {result.first_frame_index} to {last}{match}{chance}, "
        f"{result.work_seconds:.2f} s of work"
    )
    if result.seam is not None:
        yield f"  {describe_seam(result.seam)}"
    for symptom in result.diagnosis.symptoms if result.diagnosis is not None else ():
        yield f"  ! {symptom.message}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
