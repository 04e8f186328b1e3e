"""Compares frames by the scorer's features, inside the subject's box and outside.

VBench's subject and background consistency (Huang et al. 2024) with the scorer's patches in place of DINO's and CLIP's
features: mean over t of ½ [max(0, f_t · f_0) + max(0, f_t · f_(t-1))], where f is the normalised mean of the patches'
features in the box of the first frame. Drift is the mean of 1 - f_t · f_0 over the last quarter, because a mean over
all frames hides late changes. New content is the mean over the last quarter's patches of 1 - the largest p · q, q any
patch of the first frame: what moved is found again, what the model made up is not. Frames are sampled: t - 1 is the
sample before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.api.diagnosis import Likeness
from engine.api.media import Box

Vectors = NDArray[np.float32]
_CELLS_A_SIDE = 4


@dataclass(frozen=True, slots=True, eq=False)
class SampledFeatures:
    """``patches`` [frames, patches, size] of unit length, a square grid row by row, and the frames' size in pixels."""

    patches: Vectors
    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True, eq=False)
class SampleVectors:
    """Unit vectors of sampled frames: of the subject [frames, size], and of the whole frame [frames, cells x size].

    The product of two vectors of whole frames is the mean likeness of their cells: it tells where in the picture
    something is. ``indices`` are those of the frames, numbered through a chain.
    """

    indices: tuple[int, ...]
    subject: Vectors
    content: Vectors


def sample_vectors(features: SampledFeatures, subject: Box | None, indices: Sequence[int]) -> SampleVectors:
    """The vectors of sampled frames. ``subject`` is in pixels of the frames, None: the whole picture."""
    inside = _patches_in(subject, features, math.isqrt(features.patches.shape[1]))
    subject_vectors = _pooled(features.patches[:, inside]).astype(np.float32)
    return SampleVectors(tuple(indices), subject_vectors, _by_cell(features.patches))


def likeness_of(features: SampledFeatures, subject: Box | None) -> Likeness | None:
    """Consistency and drift; None for a single frame.

    ``subject`` is in pixels of the frames, None: the whole picture.
    """
    frame_count, patch_count, _ = features.patches.shape
    if frame_count < 2:
        return None
    inside = _patches_in(subject, features, math.isqrt(patch_count))
    subject_vectors = _pooled(features.patches[:, inside])
    outside = ~inside
    background = _consistency(_pooled(features.patches[:, outside])) if outside.any() else None
    last = max(frame_count // 4, 1)
    drift = float(np.mean(1.0 - subject_vectors[-last:] @ subject_vectors[0]))
    return Likeness(_consistency(subject_vectors), background, drift, _new_content(features.patches, last))


def _patches_in(box: Box | None, features: SampledFeatures, side: int) -> NDArray[np.bool_]:
    """Mask of the patches whose centre lies in a box; all patches if none does."""
    if box is None:
        return np.ones(side * side, np.bool_)
    middles = (np.arange(side) + 0.5) / side
    x, y = middles * features.width_px, middles * features.height_px
    columns = (x >= box.left_px) & (x < box.left_px + box.width_px)
    rows = (y >= box.top_px) & (y < box.top_px + box.height_px)
    inside = (rows[:, None] & columns[None]).ravel()
    return inside if inside.any() else np.ones(side * side, np.bool_)


def _by_cell(patches: Vectors) -> Vectors:
    """Pools [frames, patches, size] to the cells of a grid, and joins these to unit vectors [frames, cells x size]."""
    frame_count, patch_count, size = patches.shape
    side = math.isqrt(patch_count)
    square = patches.reshape(frame_count, side, side, size)
    cells = [
        _pooled(part.reshape(frame_count, -1, size))
        for band in np.array_split(square, min(_CELLS_A_SIDE, side), axis=1)
        for part in np.array_split(band, min(_CELLS_A_SIDE, side), axis=2)
    ]
    return (np.concatenate(cells, axis=1) / math.sqrt(len(cells))).astype(np.float32)


def _new_content(patches: Vectors, last: int) -> float:
    """Mean over the patches of the ``last`` frames of 1 - likeness to the most similar patch of the first frame."""
    return float(np.mean([1.0 - (frame @ patches[0].T).max(axis=1).mean() for frame in patches[-last:]]))


def _pooled(patches: Vectors) -> NDArray[np.float64]:
    """Pools [frames, patches, size] to unit vectors [frames, size]."""
    mean = patches.astype(np.float64).mean(axis=1)
    unit: NDArray[np.float64] = mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)
    return unit


def _consistency(vectors: NDArray[np.float64]) -> float:
    to_first = vectors[1:] @ vectors[0]
    to_before = (vectors[1:] * vectors[:-1]).sum(axis=1)
    return float(np.mean((np.maximum(to_first, 0.0) + np.maximum(to_before, 0.0)) / 2.0))
