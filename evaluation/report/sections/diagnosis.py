"""Symptoms and first remedies of failed clips, and false alarms on good ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from evaluation.plan.model import Arm
from evaluation.record import ClipRecord
from evaluation.report.evidence import Evidence
from evaluation.report.fits import Fits
from evaluation.report.section import Section, missing
from evaluation.report.wording import share_text, table
from evaluation.statistics.share import NOTHING, Share


def diagnosis_section(evidence: Evidence, fits: Fits | None) -> Section:
    """Totals, those of a refit on these clips, then one row for each arm with a fault that a remedy undoes."""
    name = "Diagnosis after the clip"
    faulty = [arm for arm in evidence.arms if arm.right_remedy is not None]
    if not faulty or evidence.matched is None:
        return missing(name, "the plan has no matched arm, or no arm that a remedy mends, or they have no clips.")
    matched = evidence.of(evidence.matched.id)
    good = [clip for clip in matched if evidence.is_success(clip)]
    totals = [
        ["failed clips of arms with a fault: right remedy first", _total(evidence, faulty, right_first), "80 %"],
        ["failed clips of arms with a fault: any symptom", _total(evidence, faulty, noticed), ""],
        [
            f"{evidence.matched.title}: any symptom (false alarms)",
            share_text(Share.of(map(_is_noticed, matched))),
            "5 %",
        ],
        [f"{evidence.matched.title}, good clips: any symptom", share_text(Share.of(map(_is_noticed, good))), ""],
    ]
    text = (
        "The right remedy undoes what the arm does wrong. A clip without symptoms has no remedy and counts as "
        "missed.\n\n"
        + table(["as told with the clips", "clips", "wanted"], totals)
        + _refitted(fits)
        + "\n"
        + table(
            ["arm", "right remedy", "failed", "any symptom", "right remedy first", "symptoms on good clips"],
            [_row(arm, evidence) for arm in faulty],
        )
    )
    return Section(name, text)


def _refitted(fits: Fits | None) -> str:
    """Totals of the diagnosis whose thresholds and weights are fitted on these clips, held out by pair."""
    if fits is None or fits.diagnosis is None:
        return "\nToo few clips to fit the thresholds of the diagnosis.\n"
    fitted, remedies = fits.diagnosis["fitted"], fits.diagnosis["remedies"]
    rows = [
        ["failed clips of arms with a fault: right remedy first", _counted(remedies["all"]), "80 %"],
        ["of those with a symptom: right remedy first", _counted(remedies["with_symptom"]), ""],
        ["failed clips without a symptom (misses)", _counted(fitted["misses"]), ""],
        ["good clips of arms without a fault: any symptom (false alarms)", _counted(fitted["false_alarms"]), "5 %"],
        *([f"`{kind}` on good clips of arms without a fault", _counted(item["false_alarms"]), ""]
          for kind, item in fitted["by_symptom"].items() if item["false_alarms"]["hit_count"]),
    ]  # fmt: skip
    return "\n" + table(["refitted on these clips, held out by pair", "clips", "wanted"], rows)


def _counted(item: Mapping[str, int]) -> str:
    """A share as ``export.calibrate`` counts it."""
    return share_text(Share(item["hit_count"], item["count"]))


def failed_clips(evidence: Evidence, arm: Arm) -> list[ClipRecord]:
    """The failed clips of an arm."""
    return [clip for clip in evidence.of(arm.id) if evidence.is_failure(clip)]


def right_first(clips: Sequence[ClipRecord], arm: Arm) -> Share:
    """The share of clips whose first remedy undoes the fault of their arm."""
    return Share.of(clip.remedies[:1] == (arm.right_remedy,) for clip in clips)


def noticed(clips: Sequence[ClipRecord], _arm: Arm) -> Share:
    """The share of clips with a symptom."""
    return Share.of(map(_is_noticed, clips))


def _total(evidence: Evidence, arms: Sequence[Arm], figure: Callable[[Sequence[ClipRecord], Arm], Share]) -> str:
    return share_text(sum((figure(failed_clips(evidence, arm), arm) for arm in arms), NOTHING))


def _row(arm: Arm, evidence: Evidence) -> list[str]:
    failures = failed_clips(evidence, arm)
    good = [clip for clip in evidence.of(arm.id) if evidence.is_success(clip)]
    return [
        arm.title,
        str(arm.right_remedy),
        str(len(failures)),
        share_text(noticed(failures, arm)),
        share_text(right_first(failures, arm)),
        share_text(noticed(good, arm)),
    ]


def _is_noticed(clip: ClipRecord) -> bool:
    return bool(clip.symptoms)
