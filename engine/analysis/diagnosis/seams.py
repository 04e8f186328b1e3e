"""Measures the seams of a chain: whether motion and colours continue where a segment begins.

* motion jump: mean over blocks of |d' - d| as a share of the shorter side, d and d' the displacements (``flow``) of a
  block in two pairs of frames that follow each other: the difference that warping error and motion smoothness look at
  (Lai et al. 2018; VBench, Huang et al. 2024), on the motion itself. At a seam d ends with the last frame before it,
  and d' begins there, found after the frames' mean luminances are made equal: a shift of colours is no motion.
* colour shift: mean over red, green and blue of the absolute difference of the means of two neighbouring frames, as a
  share of the range of values.

Beside each stands the median of the same between the frames of the two segments: what the clip does anyway.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.analysis.diagnosis.clip_watch import ClipWatch, Colour, mean_colour
from engine.analysis.diagnosis.flow import SIDE_PX, Luminance, displacements, small_luminance
from engine.analysis.diagnosis.likeness import SampleVectors
from engine.api.chain import Seam, SegmentEnd
from engine.api.media import Pixels

Field = NDArray[np.float64]  # [blocks, 2], as ``flow.Displacements``


def segment_end(watch: ClipWatch, frames: Sequence[Pixels], vectors: SampleVectors | None) -> SegmentEnd:
    """What a segment leaves, once ``watch`` saw all frames that it adds.

    ``frames``: its last frames, as many as the next segment repeats, oldest first; none if no segment follows.
    """
    return SegmentEnd(
        frames=tuple(frames),
        displacements=watch.last_displacements(),
        motion_jumps=_motion_jumps(watch),
        colour_shifts=_colour_shifts(watch),
        sample_indices=vectors.indices if vectors is not None else (),
        subject=vectors.subject if vectors is not None else None,
        content=vectors.content if vectors is not None else None,
    )


def seam_of(end_before: SegmentEnd, watch_after: ClipWatch, frame_index: int) -> Seam:
    """The seam between a segment and the next one, whose new frames ``watch_after`` saw, from ``frame_index`` on."""
    last, before = end_before.frames[-1], end_before.displacements
    assert before is not None
    across = _across(small_luminance(last), watch_after)
    return Seam(
        frame_index,
        motion_jump=motion_jump(before.astype(np.float64), across),
        motion_jump_inside=_median(end_before.motion_jumps + _motion_jumps(watch_after)),
        colour_shift=colour_shift(mean_colour(last), watch_after.colours[0]),
        colour_shift_inside=_median(end_before.colour_shifts + _colour_shifts(watch_after)),
    )


def motion_jump(before: Field, after: Field) -> float:
    """Mean length of the difference of two displacement fields, as a share of the shorter side."""
    return float(np.linalg.norm(after - before, axis=1).mean()) / SIDE_PX


def colour_shift(before: Colour, after: Colour) -> float:
    """Mean over red, green and blue of the absolute difference of two mean colours."""
    return float(np.abs(after - before).mean())


def _across(last: Luminance, watch_after: ClipWatch) -> Field:
    """Displacements from the last frame before a seam to the frame one interval later."""
    first = watch_after.earliest[-1]
    level = np.int16(round(float(first.mean()) - float(last.mean())))
    found = displacements(last + level, first).astype(np.float64)
    return found * (watch_after.interval / len(watch_after.earliest))  # where the segment adds fewer frames


def _motion_jumps(watch: ClipWatch) -> tuple[float, ...]:
    fields = [item.astype(np.float64) for item in watch.fields]
    return tuple(motion_jump(before, after) for before, after in itertools.pairwise(fields))


def _colour_shifts(watch: ClipWatch) -> tuple[float, ...]:
    return tuple(colour_shift(*pair) for pair in itertools.pairwise(watch.colours))


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if values else 0.0
