"""Areas under the curve of figures that need no truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engine.analysis.diagnosis.clip_factors import FLAWLESS
from engine.matching.success_factors import FAULTLESS
from evaluation.record import ClipRecord
from evaluation.report.drawing.areas import KINDS, draw_areas
from evaluation.report.evidence import Evidence
from evaluation.report.fits import Fits
from evaluation.report.section import Picture, Section, missing
from evaluation.report.wording import area_text, table
from evaluation.statistics.area import Area, Clusters
from export.calibrate.statistics import brier_score, expected_calibration_error

WANTED_AREA = 0.85
_BEFORE, _OF_CLIP, _COMBINED = KINDS
_DRAWN_COUNT = 20


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    kind: str
    area: Area | None
    within: Area | None


def metrics_section(evidence: Evidence, fits: Fits | None) -> Section:
    """The area under the curve of every figure and of the combinations, over all clips and within arms."""
    name = "Metrics without truth"
    if evidence.labels.source == "thresholds":
        return missing(name, "here thresholds on these same figures decide which clips are good, so they would agree.")
    clips = evidence.judged
    labels = [evidence.is_success(clip) for clip in clips]
    if all(labels) or not any(labels):
        return missing(name, "all clips have the same outcome.")
    clusters = Clusters(labels, [clip.pair for clip in clips], [clip.arm for clip in clips])
    rows = [
        *_figure_rows(clusters, [clip.pair_factors for clip in clips], FAULTLESS, _BEFORE),
        *_figure_rows(clusters, [clip.clip_factors for clip in clips], FLAWLESS, _OF_CLIP),
    ]
    rows.sort(key=lambda row: -(row.area.value if row.area is not None else 0.0))
    combined = [] if fits is None else _combined_rows(clips, labels, fits)
    text = _introduction(clips, labels) + _conclusion(combined, fits, labels)
    heads = ["figure", "known", "area, all clips", "area, clips of the same arm"]
    text += table(
        heads, [[row.name, row.kind, area_text(row.area), area_text(row.within)] for row in (*combined, *rows)]
    )
    drawn = [(row.name.strip("*`"), row.kind, row.area) for row in (*combined, *rows) if row.area is not None]
    drawing = draw_areas(drawn[:_DRAWN_COUNT], WANTED_AREA)
    return Section(name, text, [Picture("areas", "Areas under the curve of figures for success", drawing)])


def _introduction(clips: Sequence[ClipRecord], labels: Sequence[bool]) -> str:
    return (
        "The area under the curve is the probability that a good clip has the better figure than a failed one: 0.5 is "
        f"chance, 1 is perfect; better means nearer to the figure of a faultless pair or clip. {len(clips)} clips, "
        f"{labels.count(False)} of them failed. Over all clips a figure can tell arms apart; among clips "
        "of the same arm it can only tell clips of one condition apart. Intervals: bootstrap of whole pairs. Formulas: "
        "`engine/matching/success_factors.py` and `engine/analysis/diagnosis/clip_factors.py`. Combinations are "
        "logistic models whose chances are held out by pair; within arms, clips of one fold are compared.\n\n"
    )


def _conclusion(combined: Sequence[_Row], fits: Fits | None, labels: Sequence[bool]) -> str:
    areas = [row.area for row in combined if row.area is not None]
    if not areas or fits is None:
        return "The combinations were not fitted: there are too few clips, or too few failed ones.\n\n"
    best = max(areas, key=lambda area: area.value)
    reached = "reaches" if best.value >= WANTED_AREA else "does not reach"
    chances, outcomes = np.array(fits.clip), np.array(labels)
    return (
        f"The best combination has an area of {area_text(best)}; it {reached} the wanted {WANTED_AREA:g}. The chance "
        f"by all figures has a Brier score of {brier_score(chances, outcomes):.3f} and a calibration error of "
        f"{expected_calibration_error(chances, outcomes):.3f}.\n\n"
    )


def _combined_rows(clips: Sequence[ClipRecord], labels: Sequence[bool], fits: Fits) -> list[_Row]:
    """One row for the chance before the clip, one for that after it.

    Within arms only clips of one fold are compared: a fit that did not see the failures of a fold is too confident
    about them, so that between folds the chance falls where the outcome rises.
    """
    strata = [f"{clip.arm} {fold}" for clip, fold in zip(clips, fits.folds, strict=True)]
    clusters = Clusters(labels, [clip.pair for clip in clips], strata)
    return [
        _Row(f"**{title}**", _COMBINED, clusters.area(chances), clusters.area_within(chances))
        for title, chances in (("figures before the clip", fits.pair), ("all figures", fits.clip))
    ]


def _figure_rows(
    clusters: Clusters, figures: Sequence[Mapping[str, float]], ideal: Mapping[str, float], kind: str
) -> list[_Row]:
    """One row for each figure that every clip has and that differs between clips."""
    rows = []
    for name, best in ideal.items():
        if not all(name in item for item in figures):
            continue
        nearness = [-abs(item[name] - best) for item in figures]
        if len(set(nearness)) > 1:
            rows.append(_Row(f"`{name}`", kind, clusters.area(nearness), clusters.area_within(nearness)))
    return rows
