"""Formats the summary of a clip as the report and the values of the Diagnosis node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stillcue.report_text import describe_match, diagnosis_lines
from stillcue.segment_text import planned_lines, segment_lines
from stillcue.step_text import describe_steps
from stillcue.success_text import attempt_lines, clip_success_lines

from .progress_text import end_line

if TYPE_CHECKING:
    from stillcue import Summary

UNKNOWN = -1.0


def clip_report(summary: Summary) -> str:
    """Returns settings, times, attempts, segments, the clip's chance, match, notes of the server, and diagnosis."""
    seconds = ", ".join(f"{stage.value} {value:.1f} s" for stage, value in summary.stage_seconds.items())
    lines = [_settings_line(summary), end_line(summary), *([seconds] if seconds else [])]
    if steps := describe_steps(summary.step_counts):
        lines.append(steps)
    lines += (
        attempt_lines(summary) + planned_lines(summary.settings) + segment_lines(summary) + clip_success_lines(summary)
    )
    if summary.match_report is not None:
        lines.append(describe_match(summary.match_report))
    lines += [f"note: {warning}" for warning in summary.warnings]
    if summary.diagnosis is None:
        return "\n".join([*lines, "the server did not check the clip"])
    return "\n".join([*lines, *diagnosis_lines(summary.diagnosis)])


def outcome(summary: Summary) -> str:
    """Returns ``clean``, ``suspect`` or ``unknown``."""
    return "unknown" if summary.diagnosis is None else summary.diagnosis.outcome.value


def first_remedy(summary: Summary) -> str:
    """Returns the most promising remedy; empty if there is none."""
    remedies = () if summary.diagnosis is None else summary.diagnosis.remedies
    return remedies[0].message if remedies else ""


def consistency(summary: Summary) -> float:
    """Returns how alike the subject stays, 0 to 1; -1 if it was not measured."""
    value = None if summary.diagnosis is None else summary.diagnosis.metrics.vbench_like_subject_consistency
    return UNKNOWN if value is None else value


def motion(summary: Summary) -> float:
    """Returns the share of the clip that moves, 0 to 1; -1 if it was not measured."""
    return UNKNOWN if summary.diagnosis is None else summary.diagnosis.metrics.vbench_like_dynamic_degree


def _settings_line(summary: Summary) -> str:
    settings = summary.settings
    low = settings.guidance_scale_low_noise
    guidance = f"{settings.guidance_scale:g}" if low is None else f"{settings.guidance_scale:g} and {low:g}"
    return (
        f"{summary.frame_count} frames of {settings.width_px}x{settings.height_px} at {settings.frame_rate:g} frames/s"
        f", {settings.step_count} steps, guidance {guidance}, shift {settings.shift:g}, seed {settings.seed}"
    )
