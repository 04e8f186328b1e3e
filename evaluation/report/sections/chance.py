"""The chance of success before the clip: the prior, the held-out fit, and the chance that the clips were stated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

import numpy as np

from engine.matching.success import prior_chance
from evaluation.plan.model import Arm
from evaluation.report.drawing.reliability import draw_reliability
from evaluation.report.evidence import Evidence
from evaluation.report.fits import Fits
from evaluation.report.section import Picture, Section, missing
from evaluation.report.wording import NO_FIGURE, listed, percent, rate_text, share_text, table
from evaluation.statistics.share import Share
from export.calibrate.statistics import brier_score, expected_calibration_error, reliability
from export.calibrate.verdicts import ArmVerdict, arm_verdicts

_GOOD = "good"
TOO_LOW, TOO_HIGH = "too low", "too high"


def chance_section(evidence: Evidence, fits: Fits | None) -> Section:
    """Errors of the chances over all clips, and stated chance against measured success in each arm."""
    name = "Chance of success before the clip"
    clips = evidence.judged
    if not clips:
        return missing(name, "no clip is labelled.")
    labels = np.array([evidence.is_success(clip) for clip in clips])
    columns: dict[str, Sequence[float]] = {"the article's prior": [prior_chance(clip.pair_factors) for clip in clips]}
    if fits is not None:
        columns["fitted here, held out by pair"] = fits.pair
    if any(clip.chance_basis != "article_prior" for clip in clips):
        columns["stated by the bundle, whose fit may have seen these pairs"] = [clip.chance for clip in clips]
    base = float(labels.mean())
    columns["the base rate for all"] = [base] * len(clips) if fits is None else fits.base_rates
    rows = [
        [
            title,
            _error(brier_score(np.array(chances), labels)),
            _error(expected_calibration_error(np.array(chances), labels)),
        ]
        for title, chances in columns.items()
    ]
    text = (
        f"{len(clips)} clips, of which {percent(base)} succeed. Brier score: mean squared error of the chance; "
        "calibration error: mean distance of chance and success over ten bins.\n\n"
        + table(["chance", "Brier score", "calibration error"], rows)
        + "\n"
        + _by_arm(evidence, fits)
    )
    curves = {
        title: reliability(np.array(columns[title]), labels) for title in list(columns)[: 1 if fits is None else 2]
    }
    return Section(name, text, [Picture("reliability", "Stated chance and measured success", draw_reliability(curves))])


def _by_arm(evidence: Evidence, fits: Fits | None) -> str:
    """One row for each arm: its verdicts, its chances, and whether the stated chance contradicts the measured rate."""
    held_out: Mapping[tuple[str, int], float] = (
        {} if fits is None else dict(zip((clip.key for clip in evidence.judged), fits.pair, strict=True))
    )
    verdicts = _verdicts(evidence)
    rows = [_arm_row(arm, evidence, held_out, verdicts.get(arm.id)) for arm in evidence.arms]
    low = [evidence.title_of(name) for name, verdict in verdicts.items() if verdict.is_below]
    defect = f"It is {TOO_LOW} in {len(low)} arms: {listed(low)}." if low else f"It is {TOO_LOW} in no arm."
    heads = ["arm", "verdict good", "stated chance", "prior", "held-out fit", "success", "chance stated with good"]
    return (
        "Means for each arm. The last column compares the chance that was stated with the verdict *good* with the "
        f"interval of the success of these clips; one that is {TOO_LOW} is a defect. These intervals hold together for "
        f"all arms in 95 % (Bonferroni), so they are wider than those of the column before. {defect}\n\n"
        f"{table(heads, rows)}"
    )


def _verdicts(evidence: Evidence) -> Mapping[str, ArmVerdict]:
    """Stated chance and measured success of the clips with the verdict good, by arm."""
    clips = evidence.judged
    verdicts = arm_verdicts(
        [clip.arm for clip in clips],
        np.array([clip.verdict == _GOOD for clip in clips]),
        np.array([clip.chance for clip in clips]),
        np.array([evidence.is_success(clip) for clip in clips]),
    )
    return {verdict.arm: verdict for verdict in verdicts}


def _arm_row(
    arm: Arm, evidence: Evidence, held_out: Mapping[tuple[str, int], float], verdict: ArmVerdict | None
) -> list[str]:
    clips = evidence.of(arm.id)
    fitted = [held_out[clip.key] for clip in clips if clip.key in held_out]
    return [
        arm.title,
        rate_text(Share.of(clip.verdict == _GOOD for clip in clips)),
        percent(fmean(clip.chance for clip in clips)),
        percent(fmean(prior_chance(clip.pair_factors) for clip in clips)),
        percent(fmean(fitted)) if fitted else NO_FIGURE,
        share_text(evidence.success(arm.id)),
        NO_FIGURE if verdict is None else _judgement_of(verdict),
    ]


def _judgement_of(verdict: ArmVerdict) -> str:
    place = TOO_LOW if verdict.is_below else TOO_HIGH if verdict.is_above else "in the interval"
    return f"{percent(verdict.mean_chance)}, {place}"


def _error(value: float) -> str:
    return f"{value:.3f}"
