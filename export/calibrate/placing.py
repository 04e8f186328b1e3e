"""Measures how well the heat map locates the subject, and fits its slope and offset to labelled boxes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.bundle.scorer_spec import GroundingSpec
from engine.matching.grounding import Map, Region, heat_of, region_of
from export.calibrate.judging import Judged
from export.calibrate.pairs import Pair

WANTED_OVERLAP = 0.6
WANTED_CENTRE = 0.08
_SLOPES = (0.25, 0.5, 1.0)
_OFFSETS = tuple(range(-6, 7))


@dataclass(frozen=True)
class Placing:
    """Figures over pictures with a labelled box: shares that reach the wanted overlap and distance, and means."""

    picture_count: int
    overlap_share: float
    centre_share: float
    mean_overlap: float
    mean_centre_distance: float


def fit_grounding(judged: Sequence[Judged], spec: GroundingSpec) -> GroundingSpec:
    """The spec with the slope and offset of the best mean overlap; unchanged without boxes.

    ``judged`` were scored with ``spec``.
    """
    known = [(item.pair, margins_of(item, spec)) for item in _placed(judged)]
    if not known:
        return spec
    tried = [
        (np.mean([overlap(region_of(heat_of(margins, slope, offset)), pair) for pair, margins in known]), slope, offset)
        for slope in _SLOPES
        for offset in (slope * step for step in _OFFSETS)
    ]
    _, slope, offset = max(tried)
    return spec.with_changes(slope=slope, offset=offset)


def margins_of(item: Judged, spec: GroundingSpec) -> Map:
    """Margins of the patches [patches], computed back from the reported heat map."""
    assert item.report.grounding is not None
    heat = np.clip(np.array(item.report.grounding.heat_map, np.float64).ravel(), 1e-15, 1 - 1e-15)
    margins: Map = (np.log(heat) - np.log1p(-heat) - spec.offset) / spec.slope
    return margins


def placing_of(judged: Sequence[Judged]) -> Placing | None:
    """Figures of how well the reports locate the subject; None without boxes."""
    overlaps, distances = [], []
    for item in _placed(judged):
        grounding = item.report.grounding
        assert grounding is not None
        region = region_of(np.array(grounding.heat_map))
        overlaps.append(overlap(region, item.pair))
        centre = item.pair.centre or _middle(item.pair)
        found = region is not None
        distances.append(math.dist(centre, (grounding.center_x, grounding.center_y)) if found else 1.0)
    if not overlaps:
        return None
    return Placing(
        len(overlaps),
        float(np.mean(np.array(overlaps) >= WANTED_OVERLAP)),
        float(np.mean(np.array(distances) <= WANTED_CENTRE)),
        float(np.mean(overlaps)),
        float(np.mean(distances)),
    )


def overlap(region: Region | None, pair: Pair) -> float:
    """Intersection over union of a region and the true box."""
    if region is None or pair.box is None:
        return 0.0
    left, top, right, bottom = pair.box
    wide = min(region.right, right) - max(region.left, left)
    high = min(region.bottom, bottom) - max(region.top, top)
    shared = max(wide, 0.0) * max(high, 0.0)
    areas = (right - left) * (bottom - top) + (region.right - region.left) * (region.bottom - region.top)
    return shared / (areas - shared)


def _placed(judged: Sequence[Judged]) -> list[Judged]:
    """Judged pairs with a labelled box whose sentence names a subject."""
    return [item for item in judged if item.pair.box is not None and item.report.grounding is not None]


def _middle(pair: Pair) -> tuple[float, float]:
    assert pair.box is not None
    left, top, right, bottom = pair.box
    return (left + right) / 2, (top + bottom) / 2
