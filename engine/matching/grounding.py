"""Finds the subject in a grid of margins, one for each patch of the picture.

The heat of a patch is sigmoid(slope · m + offset). The connected group of warm patches with the most heat is the
subject. Its heat, interpolated between the centres of the patches, gives a box and a centre of mass finer than a patch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.api.match_report import Grounding
from engine.api.media import Box

WARM = 0.5
_FINE_COUNT = 64  # cells of the magnified map along the longer side, at least

_BESIDE = 1.0 / 16.0
_CLUTTER_PATCHES, _CLUTTER_ABOVE = 2, 7.0

Map = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the picture, in shares of its width and height."""

    left: float
    top: float
    right: float
    bottom: float
    center_x: float
    center_y: float


def heat_of(margins: Map, slope: float, offset: float) -> Map:
    """Converts margins [patches] of a square grid to heat [rows, columns], 0..1."""
    side = math.isqrt(margins.size)
    heat: Map = 1.0 / (1.0 + np.exp(-np.clip(slope * margins + offset, -60.0, 60.0)))
    return heat.reshape(side, side)


def presence_of(heat: Map) -> float:
    """Confidence, 0..1, that something is in the picture: the mean heat of the two warmest patches."""
    return float(np.sort(heat, axis=None)[-2:].mean())


def region_of(heat: Map) -> Region | None:
    """The connected group of warm cells with the most heat; None without a warm cell."""
    component = _warmest_component(heat)
    if component is None:
        return None
    fine = magnified(np.where(component, heat, np.minimum(heat, WARM) * _near(component)))
    mask = fine >= WARM
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):  # a warm cell at its edge may lie below after magnifying
        mask = fine >= fine.max()
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    weights = np.where(mask, fine, 0.0)
    height, width = fine.shape
    total = weights.sum()
    return Region(
        left=float(columns[0] / width),
        top=float(rows[0] / height),
        right=float((columns[-1] + 1) / width),
        bottom=float((rows[-1] + 1) / height),
        center_x=float((weights.sum(axis=0) * (np.arange(width) + 0.5)).sum() / total / width),
        center_y=float((weights.sum(axis=1) * (np.arange(height) + 0.5)).sum() / total / height),
    )


def grounding_of(heat: Map, width_px: int, height_px: int) -> Grounding:
    """The grounding of a heat map over a picture of this size in pixels."""
    values = tuple(tuple(float(value) for value in row) for row in heat)
    region = region_of(heat)
    if region is None:
        return Grounding(values, None, 0.0, 0.0, 0.5, 0.5, 0.0)
    left, top = math.floor(region.left * width_px), math.floor(region.top * height_px)
    right, bottom = math.ceil(region.right * width_px), math.ceil(region.bottom * height_px)
    box = Box(left, top, max(min(right, width_px) - left, 1), max(min(bottom, height_px) - top, 1))
    wide, high = box.width_px / width_px, box.height_px / height_px
    return Grounding(
        heat_map=values,
        box=box,
        coverage=max(wide, high),
        strict_coverage=wide * high,
        center_x=region.center_x,
        center_y=region.center_y,
        center_offset=max(abs(region.center_x - 0.5), abs(region.center_y - 0.5)),
    )


def clutter_of(margins: Map) -> float:
    """The mean margin, above -7, of the two patches that look most like a contrast subject; at least 0.

    ``margins`` [patches] are those of the likeliest contrast subject in each patch, against the scenes as backgrounds.
    """
    highest = np.sort(margins)[-_CLUTTER_PATCHES:]
    return max(float(highest.mean()) + _CLUTTER_ABOVE, 0.0) if len(highest) else 0.0


def patches_near(box: Box, width_px: int, height_px: int, patch_count: int) -> Mask:
    """Mask [patches] of the patches whose centre lies in a box or within 1/16 of the picture's side beside it."""
    middles = (np.arange(math.isqrt(patch_count)) + 0.5) / math.isqrt(patch_count)
    near_x, near_y = (
        (middles >= start / side - _BESIDE) & (middles <= (start + length) / side + _BESIDE)
        for start, length, side in (
            (box.left_px, box.width_px, width_px),
            (box.top_px, box.height_px, height_px),
        )
    )
    near: Mask = (near_y[:, None] & near_x[None]).ravel()
    return near


def magnified(heat: Map) -> Map:
    """The map interpolated bilinearly between the patches' centres; constant towards the picture's edges."""
    factor = max(math.ceil(_FINE_COUNT / max(heat.shape)), 1)
    for axis in (0, 1):
        count = heat.shape[axis]
        places = np.clip((np.arange(count * factor) + 0.5) / factor - 0.5, 0, count - 1)
        lower = np.minimum(places.astype(int), max(count - 2, 0))
        upper = np.minimum(lower + 1, count - 1)
        share = np.expand_dims(places - lower, 1 - axis)
        heat = np.take(heat, lower, axis) * (1 - share) + np.take(heat, upper, axis) * share
    return heat


def _near(component: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The group and its neighbouring cells, whose heat says how far into them the subject reaches."""
    padded = np.pad(component, 1)
    height, width = component.shape
    near = np.zeros_like(component)
    for down in range(3):
        for right in range(3):
            near |= padded[down : down + height, right : right + width]
    return near


def _warmest_component(heat: Map) -> NDArray[np.bool_] | None:
    """Mask of the group of warm cells, connected along sides, with the largest sum; None without a warm cell."""
    warm = heat >= WARM
    seen = np.zeros_like(warm)
    best: list[tuple[int, int]] = []
    most = 0.0
    for start in zip(*np.nonzero(warm), strict=True):
        if seen[start]:
            continue
        group, edge = [], [(int(start[0]), int(start[1]))]
        seen[start] = True
        while edge:
            row, column = edge.pop()
            group.append((row, column))
            for cell in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
                inside = 0 <= cell[0] < warm.shape[0] and 0 <= cell[1] < warm.shape[1]
                if inside and warm[cell] and not seen[cell]:
                    seen[cell] = True
                    edge.append(cell)
        total = float(sum(heat[cell] for cell in group))
        if total > most:
            best, most = group, total
    if not best:
        return None
    component = np.zeros_like(warm)
    component[tuple(np.array(best).T)] = True
    return component
