"""Tables of the pages on scoring and diagnosis: figures that a fit depends on, and pocket's fits with their figures.

The fits' figures are those that ``python -m export.calibrate BUNDLE --outcomes FILE --json pocket/model/
success_evaluation.json`` wrote; without the file the tables say that nothing was measured.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from engine.analysis.diagnosis.clip_factors import FLAWLESS
from engine.analysis.diagnosis.measured_evidence import REMEDY_OF
from engine.bundle.diagnosis_spec import DiagnosisSpec
from engine.matching.success_factors import FAULTLESS
from export.calibrate.terms import signs_of

Rows = Iterator[tuple[str, ...]]
FIGURES_FILE = Path(__file__).parent.parent / "pocket" / "model" / "success_evaluation.json"
NOT_MEASURED = "Not measured yet.\n"
_SIDES = {1: "raises", -1: "lowers", 0: "either"}

PAIR_MEANINGS: Mapping[str, str] = {
    "score": "match score / 100",
    "subject": "highest probability of a clause about the subject; 0 without one",
    "action": "lowest probability of an action; 0 without one",
    "asked_motion": "1 if the sentence asks for a motion of its subject, 0 if it asks for rest, or for nothing",
    "environment": "highest probability of a clause about the environment; 1 without one",
    "missing_nouns": "number of things that the picture does not show",
    "further_actions": "stages of action after the first",
    "wording_warnings": "kinds of warnings on the sentence",
    "wording_errors": "kinds of errors on the sentence",
    "coverage_lack": "what the subject's coverage lacks to 0.6",
    "coverage_excess": "what the subject's coverage has above 0.6",
    "centre_offset": "distance of the subject from the middle, in sides",
    "clutter": "how much something beside the subject looks like another subject: log odds above −7",
    "text_coverage": "share of the picture that lettering covers",
    "blockiness": "logarithm of the traces of JPEG",
    "guidance_above": "logarithm of the guidance scale over the model's own, at least 0",
    "guidance_below": "logarithm of the model's own over the guidance scale, at least 0",
    "step_lack": "logarithm of the model's own number of steps over the asked one, at least 0",
}
CLIP_MEANINGS: Mapping[str, str] = {
    "subject_consistency": "see [figures](#figures)",
    "background_consistency": "see [figures](#figures); 1 if the subject fills the picture",
    "subject_drift": "see [figures](#figures)",
    "new_content": "mean over the last quarter's patches of 1 − likeness to the most similar patch of the first frame",
    "dynamic_degree": "see [figures](#figures)",
    "motion_speed": "see [figures](#figures)",
    "mean_change": "1 − temporal flicker",
    "largest_change": "see [figures](#figures)",
    "burnt_gain": "see [figures](#figures)",
    "edge_gain": "logarithm of the edge density at the end over that of the first frame",
    "saturation_gain": "0.95 quantile of the saturation at the end less that of the first frame",
    "first_score": "match score of the first frame / 100",
    "last_score": "match score of the last sampled frame / 100",
    "last_odds": "log odds of the last score, −7 to 7",
    "lowest_score": "lowest match score of a sampled frame / 100",
    "first_frame_noise": "what the first frame's PSNR lacks to 40 dB, in 10 dB",
}


def pair_figure_rows() -> Rows:
    """One row for each figure of a pair: name, meaning, value without a fault, side, remedy."""
    for (name, ideal), sign in zip(FAULTLESS.items(), signs_of(tuple(FAULTLESS)).tolist(), strict=True):
        remedy = REMEDY_OF[name].value if name in REMEDY_OF else ""
        yield f"`{name}`", PAIR_MEANINGS[name], f"{ideal:g}", _SIDES[sign], remedy


def clip_figure_rows() -> Rows:
    """One row for each figure of a clip: name, meaning, value of a flawless clip, side."""
    for (name, ideal), sign in zip(FLAWLESS.items(), signs_of(tuple(FLAWLESS)).tolist(), strict=True):
        yield f"`{name}`", CLIP_MEANINGS[name], f"{ideal:g}", _SIDES[sign]


def measured() -> Mapping[str, Any] | None:
    """The figures of pocket's fits, None without them."""
    return json.loads(FIGURES_FILE.read_text(encoding="utf-8")) if FIGURES_FILE.exists() else None


def chance_rows(figures: Mapping[str, Any]) -> Rows:
    """Errors of the chance before the clip, and of the judged success after it."""
    success, clip = figures["success"], figures["clip_success"]
    yield "before the clip, fitted", *_probability_cells(success["fitted"])
    yield "before the clip, the published prior", *_probability_cells(success["prior"])
    yield "before the clip, the base rate", *_probability_cells(success["base_rate"])
    if clip is not None:
        yield "after the clip, fitted", *_probability_cells(clip["fitted"])


def single_figure_rows(figures: Mapping[str, Any]) -> Rows:
    """Area under the curve of each figure alone, best first, and of all of them together."""
    clip = figures["clip_success"]
    if clip is None:
        return
    within = clip["area_under_curve_within_arms"]
    yield "all together", _number(clip["fitted"]["area_under_curve"]), _number(within)
    areas = sorted(clip["single_figures"].items(), key=lambda item: -item[1]["area_under_curve"])
    for name, item in areas:
        yield f"`{name}`", _number(item["area_under_curve"]), _number(item["within_arms"])


def symptom_rows(figures: Mapping[str, Any]) -> Rows:
    """False alarms of each symptom in good clips of matching pairs, and failed clips that have it."""
    diagnosis = figures["diagnosis"]
    if diagnosis is None:
        return
    for label, part in (("any, fitted", diagnosis["fitted"]), ("any, default thresholds", diagnosis["default"])):
        missed = part["misses"]
        yield label, share_cell(part["false_alarms"]), f"all but {share_cell(missed)}"
    for kind, part in diagnosis["fitted"]["by_symptom"].items():
        yield f"`{kind}`", share_cell(part["false_alarms"]), share_cell(part["found"])


def remedy_rows(figures: Mapping[str, Any]) -> Rows:
    """Failed clips whose right remedy comes first."""
    diagnosis = figures["diagnosis"]
    if diagnosis is None:
        return
    remedies = diagnosis["remedies"]
    yield "all that have a right remedy", share_cell(remedies["all"])
    yield "those with a symptom", share_cell(remedies["with_symptom"])
    yield "all, as told before this fit", share_cell(remedies["earlier"])
    for kind, part in remedies["by_remedy"].items():
        yield f"right remedy: {kind}", share_cell(part)


def threshold_rows(fitted: DiagnosisSpec) -> Rows:
    """Thresholds: the defaults and those of a bundle."""
    defaults, values = DiagnosisSpec().as_dict(), fitted.as_dict()
    for name, default in defaults.items():
        if name != "outcome_count":
            yield f"`{name}`", _threshold(default), _threshold(values[name])


def share_cell(item: Mapping[str, Any]) -> str:
    """A share with its interval and count, for a table."""
    if item["share"] is None:
        return "–"
    low, high = item["interval"]
    return f"{item['share']:.1%} ({low:.1%} to {high:.1%}) of {item['count']}"


def _probability_cells(item: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(f"{item[name]:.3f}" for name in ("brier_score", "calibration_error", "area_under_curve"))


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _threshold(value: float | None) -> str:
    return "none" if value is None else f"{value:.3g}"
