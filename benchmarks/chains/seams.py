"""Measures the seams of a chain as the service does, and the steps from frame to frame there and inside segments."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from benchmarks.chains.made_chain import Frames, MadeChain
from engine.analysis.diagnosis.clip_watch import ClipWatch
from engine.analysis.diagnosis.seams import seam_of, segment_end


@dataclass(frozen=True)
class SeamFigures:
    """Measurements at one seam, each beside its median inside the two segments around it.

    ``motion_jump`` and ``colour_shift`` are those of ``engine.analysis.diagnosis.seams``. ``change``: mean absolute
    difference of the two frames around the seam, 0..1, beside that of neighbouring frames inside: a cut or a flash
    stands far above it, a new motion does not.
    """

    motion_jump: float
    motion_jump_inside: float
    colour_shift: float
    colour_shift_inside: float
    change: float
    change_inside: float


def seams_of(chain: MadeChain, frame_rate: float) -> list[SeamFigures]:
    """The seams of a chain, in order."""
    watches = [_watch(part, frame_rate) for part in chain.parts]
    figures = []
    for (before, after), (watch_before, watch_after), start in zip(
        itertools.pairwise(chain.parts), itertools.pairwise(watches), chain.starts[1:], strict=True
    ):
        seam = seam_of(segment_end(watch_before, [before[-1]], None), watch_after, start)
        figures.append(
            SeamFigures(
                motion_jump=seam.motion_jump,
                motion_jump_inside=seam.motion_jump_inside,
                colour_shift=seam.colour_shift,
                colour_shift_inside=seam.colour_shift_inside,
                change=_changes(np.stack([before[-1], after[0]]))[0],
                change_inside=float(np.median(_changes(before) + _changes(after))),
            )
        )
    return figures


def _watch(frames: Frames, frame_rate: float) -> ClipWatch:
    watch = ClipWatch(len(frames), frame_rate)
    for pixels in frames:
        watch.add(pixels)
    return watch


def _changes(frames: Frames) -> list[float]:
    """Mean absolute difference of neighbouring frames, 0..1."""
    return [float(value) for value in np.abs(np.diff(frames.astype(np.float64), axis=0)).mean(axis=(1, 2, 3)) / 255.0]
