"""Measures how far the end of a chain is from its beginning, by the scorer's features of sampled frames.

* subject consistency: mean of s_t · s_0 over the samples of the last quarter of the chain, s the subject's vectors. The
  likeness to the first frame of VBench's subject consistency (Huang et al. 2024), where drift is largest.
* loop back: mean of r_t over the samples of the last quarter, less that over the least similar quarter of the samples
  between the first segment and the last quarter, at least 0. r_t is the largest c_t · c_a, a any sample of the first
  segment, c the whole frames' vectors: how much a frame resembles one of the beginning. A clip that only moves away
  has 0, so has one that stays; one that was away and is back has as much as it was away.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.api.chain import ChainDrift, SegmentEnd

Vectors = NDArray[np.float64]


def chain_drift(ends: Sequence[SegmentEnd]) -> ChainDrift:
    """The drift of a chain with these segments, in order. Both figures are None if no frame was sampled."""
    if not ends or not all(end.sample_indices for end in ends):
        return ChainDrift(None, None)
    indices = np.array([index for end in ends for index in end.sample_indices])
    subject = np.array([row for end in ends for row in end.subject], np.float64)
    content = np.array([row for end in ends for row in end.content], np.float64)
    is_late = 4 * (indices + 1) > 3 * (indices[-1] + 1)
    consistency = float((subject[is_late] @ subject[0]).mean())
    return ChainDrift(consistency, _loop_back(content, is_late, len(ends[0].sample_indices)))


def _loop_back(content: Vectors, is_late: NDArray[np.bool_], early_count: int) -> float:
    """``content`` [samples, size]; the first ``early_count`` samples are those of the first segment."""
    resemblance = (content @ content[:early_count].T).max(axis=1)
    between = np.sort(resemblance[early_count:][~is_late[early_count:]])
    if not between.size:
        return 0.0
    away = between[: max(len(between) // 4, 1)].mean()
    return max(float(resemblance[is_late].mean() - away), 0.0)
