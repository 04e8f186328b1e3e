"""Events, match reports and diagnoses in plain words: lines for a terminal, a node or a page.

Needs nothing but the wheel; the command line adds colour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stillcue.events import QueueUpdate, Stage
from stillcue.match import ClauseKind
from stillcue.success_text import describe_basis, lowering_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stillcue.diagnosis import Diagnosis
    from stillcue.match import (
        ClauseScore,
        CropProposal,
        Grounding,
        MatchReport,
        PictureFinding,
        PictureReport,
        PromptFinding,
    )

STAGE_LABELS = {
    Stage.MATCH: "matching picture and sentence",
    Stage.ENCODE_TEXT: "reading the sentence",
    Stage.ENCODE_IMAGE: "reading the picture",
    Stage.DENOISE: "denoising",
    Stage.DECODE: "decoding frames",
}
NOTHING_TO_SHOW = "a still cannot show it"


def describe_place(update: QueueUpdate) -> str:
    """Returns the place in the queue, with the estimated wait if it is known."""
    if update.position == 0:
        return "next in the queue"
    wait = "" if update.wait_seconds is None else f", about {update.wait_seconds:.0f} s"
    return f"in the queue, {update.position} ahead{wait}"


def describe_match(report: MatchReport) -> str:
    """Returns a match report in one line."""
    return f"match {report.score:.0f} of 100, {report.verdict} ({report.basis} score){_success(report)}"


def clause_kind(clause: ClauseScore) -> str:
    """Returns what a clause tells: its kind, and the number of an action."""
    return f"action {clause.stage}" if clause.kind is ClauseKind.ACTION else clause.kind.value


def missing_words(report: MatchReport) -> str:
    """Returns the things that the picture does not show, in one line; empty if there are none."""
    return ", ".join(dict.fromkeys(noun.text for noun in report.missing_nouns))


def finding_head(finding: PromptFinding | PictureFinding) -> str:
    """Returns the code and the severity of a finding."""
    return f"{finding.code} {finding.severity.value}"


def describe_picture(report: PictureReport) -> str:
    """Returns format, size and measures of a picture in one line."""
    figures = f"sharpness {report.sharpness:.0f}, blockiness {report.blockiness:.2f}"
    return f"{report.format} {report.width_px}x{report.height_px}, {figures}"


def describe_subject(grounding: Grounding | None) -> str:
    """Returns the place of the subject in one line; empty if it was not found."""
    if grounding is None or grounding.box is None:
        return ""
    place = grounding.box
    return (
        f"subject at {place.left_px},{place.top_px}, {place.width_px}x{place.height_px} px: "
        f"{100 * grounding.coverage:.0f} % of a side, {100 * grounding.center_offset:.0f} % off the middle"
    )


def describe_crop(item: CropProposal) -> str:
    """Returns a proposed crop in one line."""
    return (
        f"{item.width_px}x{item.height_px}: {item.crop.width_px}x{item.crop.height_px} px at "
        f"{item.crop.left_px},{item.crop.top_px}, scaled by {item.scale:.2f}, "
        f"subject {100 * item.coverage:.0f} % of a side"
    )


def describe_motion(diagnosis: Diagnosis) -> str:
    """Returns the figures of a clip in one line."""
    metrics = diagnosis.metrics
    drift = "" if metrics.subject_drift is None else f", subject drift {100 * metrics.subject_drift:.0f} %"
    return f"{100 * metrics.vbench_like_dynamic_degree:.0f} % of the clip moves{drift}"


def numbered_remedies(diagnosis: Diagnosis) -> Iterator[tuple[str, str]]:
    """Yields a heading and the message of each remedy, first the most promising."""
    for number, remedy in enumerate(diagnosis.remedies, start=1):
        yield "try first: " if number == 1 else f"then ({number}): ", remedy.message


def match_lines(report: MatchReport) -> list[str]:
    """Returns a match report in lines: score, clauses, findings on the sentence, a better sentence."""
    lines = [describe_match(report), *(f"  lowers it: {line}" for line in lowering_lines(report.success))]
    for clause in report.clauses:
        fit = clause.gated_probability
        share = NOTHING_TO_SHOW if fit is None else f"fits with {100 * fit:.0f} %"
        lines.append(f"  {clause_kind(clause)} “{clause.text}”: {share}")
    if words := missing_words(report):
        lines.append(f"not in the picture: {words}")
    if report.prompt_report is not None:
        lines += [line for item in report.prompt_report.findings for line in finding_lines(item)]
        if report.prompt_report.rewritten_prompt is not None:
            lines.append(f"better: {report.prompt_report.rewritten_prompt}")
        if report.prompt_report.negative_prompt_additions:
            lines.append(f"and in the negative prompt: {', '.join(report.prompt_report.negative_prompt_additions)}")
    return lines


def picture_lines(report: MatchReport) -> list[str]:
    """Returns what was found in the picture, in lines: file, subject, findings."""
    lines = [] if report.picture_report is None else [describe_picture(report.picture_report)]
    if place := describe_subject(report.grounding):
        lines.append(place)
    findings = () if report.picture_report is None else report.picture_report.findings
    return lines + [line for item in findings for line in finding_lines(item)]


def diagnosis_lines(diagnosis: Diagnosis) -> list[str]:
    """Returns a diagnosis in lines: figures, symptoms, remedies."""
    if not diagnosis.symptoms:
        return [f"clip: nothing was noticed ({describe_motion(diagnosis)})"]
    lines = [f"clip: {describe_motion(diagnosis)}"]
    lines += [f"  ! {item.message}" for item in diagnosis.symptoms]
    return lines + [f"  {head}{message}" for head, message in numbered_remedies(diagnosis)]


def finding_lines(finding: PromptFinding | PictureFinding) -> list[str]:
    """Returns a finding in two lines: what was found, what to change."""
    return [f"{finding_head(finding)}  {finding.message}", f"  → {finding.suggestion}"]


def _success(report: MatchReport) -> str:
    if report.success is None:
        return ""
    return f", a clip succeeds with {100 * report.success.probability:.0f} % ({describe_basis(report.success)})"
