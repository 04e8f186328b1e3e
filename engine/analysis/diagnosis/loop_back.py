"""Measures how far the end of a chain is from its beginning, by the scorer's features of sampled frames.

* subject consistency: mean of s_t · s_0 over the samples of the last quarter of the chain, s the subject's vectors. The
  likeness to the first frame of VBench's subject consistency (Huang et al. 2024), where drift is largest.
* loop back: mean of c_t · c_0 over the samples of the last quarter, less that over the samples between the first
  segment and the last quarter, at least 0; c the vectors of whole frames, cell by cell of a grid, so that a subject
  that is back in its place counts. A clip that only moves away has 0, so has one that stays as it was; one that was
  away and is back has as much as it was away.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.api.chain import ChainDrift, SegmentEnd


def chain_drift(ends: Sequence[SegmentEnd]) -> ChainDrift:
    """The drift of a chain with these segments, in order. Both figures are None if no frame was sampled."""
    indices = np.array([index for end in ends for index in end.sample_indices])
    subject = [end.subject for end in ends if end.subject is not None]
    content = [end.content for end in ends if end.content is not None]
    if not subject or not content:
        return ChainDrift(None, None)
    is_late = 4 * (indices + 1) > 3 * (indices[-1] + 1)
    to_first = np.concatenate(subject) @ subject[0][0]
    is_between = ~is_late & (np.arange(len(indices)) >= len(content[0]))
    return ChainDrift(float(to_first[is_late].mean()), _loop_back(np.concatenate(content), is_late, is_between))


def _loop_back(content: NDArray[np.float32], is_late: NDArray[np.bool_], is_between: NDArray[np.bool_]) -> float:
    """``content`` [samples, size]; the masks [samples] tell which samples are compared. 0 if none are between."""
    to_first = content @ content[0]
    return max(float(to_first[is_late].mean() - to_first[is_between].mean()), 0.0) if is_between.any() else 0.0
