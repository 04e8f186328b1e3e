"""The text in the node while a clip is generated: short lines, for the front end breaks long ones within words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stillcue.report_text import STAGE_LABELS, describe_place

if TYPE_CHECKING:
    from stillcue import Accepted, DenoiseProgress, Estimate, QueueUpdate, StageStarted, Summary
    from stillcue.step_text import StepTally

_GIBIBYTE = 2**30


def waiting_line(event: QueueUpdate) -> str:
    """Place in the queue and estimated wait."""
    return describe_place(event)


def accepted_lines(event: Accepted) -> list[str]:
    """Size of the clip, estimated work, and what the server would change."""
    settings = event.settings
    steps = f"{settings.step_count} steps"
    if settings.segments:
        steps = f"{len(settings.segments)} segments of {steps}"
    clip = f"{settings.frame_count} frames of {settings.width_px}x{settings.height_px} in {steps}"
    work = event.estimate.work_seconds
    known = "" if work is None else f", about {work:.0f} s of work"
    return [f"{clip}{known}", *(f"note: {warning}" for warning in event.warnings)]


def stage_line(event: StageStarted, estimate: Estimate) -> str:
    """The stage, and the planned memory."""
    return f"{STAGE_LABELS.get(event.stage, event.stage.value)}{_planned(estimate)}"


def step_line(event: DenoiseProgress, tally: StepTally, estimate: Estimate, *, is_chain: bool) -> str:
    """Expert, step, steps with reuse, mean seconds per step, time left until frames are decoded, planned memory."""
    left = (event.step_count - event.completed_step_count) * tally.mean_seconds
    expert = "" if event.expert.value in {"single", "unknown"} else f", {event.expert.value.replace('_', '-')} expert"
    of_what = " in this segment" if is_chain else ""
    return (
        f"denoising{expert}: step {event.completed_step_count} of {event.step_count}{tally.describe()}\n"
        f"{tally.mean_seconds:.2f} s a step, {left:.0f} s left{of_what}{_planned(estimate)}"
    )


def frame_line(done: int, frame_count: int, estimate: Estimate) -> str:
    """Frames that have come, and the planned memory."""
    return f"decoding frames: {done} of {frame_count}{_planned(estimate)}"


def end_line(event: Summary) -> str:
    """Time and peak memory."""
    waited = f", {event.queue_seconds:.1f} s in the queue" if event.queue_seconds >= 1 else ""
    return f"done in {event.work_seconds:.1f} s{waited}, peak memory {gibibytes(event.peak_memory_bytes)}"


def gibibytes(count: int) -> str:
    """Returns a number of bytes in GiB."""
    return f"{count / _GIBIBYTE:.2f} GiB"


def _planned(estimate: Estimate) -> str:
    planned = estimate.peak_memory_bytes
    return "" if planned is None else f"\nplanned memory {gibibytes(planned)}"
