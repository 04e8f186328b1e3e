"""Symptoms and first remedies of failed clips, and false alarms on good ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from evaluation.plan.model import Arm
from evaluation.record import ClipRecord
from evaluation.report.evidence import Evidence
from evaluation.report.fits import Fits
from evaluation.report.section import Section, missing
from evaluation.report.wording import NO_FIGURE, share_text, table
from evaluation.statistics.share import NOTHING, Share


def diagnosis_section(evidence: Evidence, fits: Fits | None) -> Section:
    """Totals as told and refitted on these clips, then one row for each arm with a fault that a remedy undoes."""
    name = "Diagnosis after the clip"
    faulty = [arm for arm in evidence.arms if arm.right_remedy is not None]
    if not faulty:
        return missing(name, "the plan has no arm that a remedy mends, or they have no clips.")
    refitted = fits.diagnosis if fits is not None else None
    text = (
        "The right remedy undoes what the arm does wrong. A clip without symptoms has no remedy and counts as missed. "
        "Told: by the bundle when the clips were made. Refitted: by thresholds and weights that are fitted on these "
        f"clips, held out by pair.{'' if refitted else ' Too few clips for that.'}\n\n"
        + table(["", "told", "refitted", "wanted"], _totals(evidence, faulty, refitted))
        + "\n"
        + table(
            ["arm", "right remedy", "failed", "any symptom", "right remedy first", "symptoms on good clips"],
            [_row(arm, evidence) for arm in faulty],
        )
    )
    return Section(name, text)


def _totals(evidence: Evidence, faulty: Sequence[Arm], refitted: Mapping[str, Any] | None) -> Iterator[list[str]]:
    failures = {arm.id: [clip for clip in evidence.of(arm.id) if evidence.is_failure(clip)] for arm in faulty}
    noticed = {arm_id: [clip for clip in clips if clip.symptoms] for arm_id, clips in failures.items()}
    missed = Share.of(not clip.symptoms for clip in evidence.judged if evidence.is_failure(clip))
    good = [clip for arm in evidence.arms if arm.right_remedy is None for clip in evidence.of(arm.id)]
    good = [clip for clip in good if evidence.is_success(clip)]
    remedies, fitted = ({}, {}) if refitted is None else (refitted["remedies"], refitted["fitted"])

    def row(title: str, told: Share, counted: Mapping[str, int] | None, wanted: str = "") -> list[str]:
        again = NO_FIGURE if counted is None else share_text(Share(counted["hit_count"], counted["count"]))
        return [title, share_text(told), again, wanted]

    first = [_right_first(failures[arm.id], arm) for arm in faulty]
    yield row("failed clips of arms with a fault: right remedy first", sum(first, NOTHING), remedies.get("all"), "80 %")
    first = [_right_first(noticed[arm.id], arm) for arm in faulty]
    yield row("of those with a symptom: right remedy first", sum(first, NOTHING), remedies.get("with_symptom"))
    yield row("failed clips without a symptom (misses)", missed, fitted.get("misses"))
    alarms = fitted.get("false_alarms")
    yield row("good clips of arms without a fault: any symptom (false alarms)", _noticed(good), alarms, "5 %")
    by_kind = fitted.get("by_symptom", {})
    for kind in sorted({kind for clip in good for kind in clip.symptoms} | set(by_kind)):
        told, again = Share.of(kind in clip.symptoms for clip in good), by_kind.get(kind)
        if told.hit_count or (again is not None and again["false_alarms"]["hit_count"]):
            yield row(f"of these: `{kind}`", told, None if again is None else again["false_alarms"])


def _row(arm: Arm, evidence: Evidence) -> list[str]:
    failures = [clip for clip in evidence.of(arm.id) if evidence.is_failure(clip)]
    good = [clip for clip in evidence.of(arm.id) if evidence.is_success(clip)]
    return [
        arm.title,
        str(arm.right_remedy),
        str(len(failures)),
        share_text(_noticed(failures)),
        share_text(_right_first(failures, arm)),
        share_text(_noticed(good)),
    ]


def _right_first(clips: Iterable[ClipRecord], arm: Arm) -> Share:
    """The share of clips whose first remedy undoes the fault of their arm."""
    return Share.of(clip.remedies[:1] == (arm.right_remedy,) for clip in clips)


def _noticed(clips: Iterable[ClipRecord]) -> Share:
    """The share of clips with a symptom."""
    return Share.of(bool(clip.symptoms) for clip in clips)
