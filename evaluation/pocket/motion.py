"""Motions of a tracked subject at any time of the clip, for sentences with several actions or with none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pocket.evaluation.judgement import motion_extent
from pocket.evaluation.tracking import Track

_ENOUGH = 0.5  # of the extent that the action has alone, in a whole clip


def happened(action: str, made: Track, drawn: Track) -> bool:
    """True if the action happened between any two frames, half as far as in the drawn clip that shows it alone."""
    return _largest_extent(made, action) >= _ENOUGH * _largest_extent(drawn, action)


def moved(track: Track) -> bool:
    """True if the subject moved or grew more than one that stays may."""
    return motion_extent(track, "stays") <= -1.0


def _largest_extent(track: Track, action: str) -> float:
    """The largest way in the direction of an action, in sides, or the largest logarithm of growth."""
    x, y, growth = _smoothed(track.centre_x), _smoothed(track.centre_y), np.log(np.maximum(_smoothed(track.size), 1e-3))
    if action == "jumps":  # up and down again
        peak = int(y.argmin())
        return float(min(y[: peak + 1].max(), y[peak:].max()) - y[peak])
    rising = {"moves_right": x, "moves_left": -x, "sinks": y, "rises": -y, "comes_closer": growth, "goes_away": -growth}
    values = rising[action]
    return float((values - np.minimum.accumulate(values)).max())


def _smoothed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of two frames, as ``motion_extent`` takes at both ends of a clip."""
    return (values[1:] + values[:-1]) / 2
