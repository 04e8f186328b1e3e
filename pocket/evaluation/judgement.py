"""Judges a generated clip against the drawn clip of the same spec: motion, light, subject, and PSNR.

Works on the tracks that `tracking` measures in both clips.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocket.evaluation.tracking import Track, additions
from pocket.world import Clip, ClipSpec, apply_light, render_backdrop

_FOLLOWED_SHARE = 0.5
"""A motion or change of light counts when it reaches this share of the drawn one."""
_STILL_SHIFT = 0.07
_STILL_GROWTH = 0.18
_STEADY_LIGHT = 0.2
_SAME_SHAPE_OVERLAP = 0.5
_SAME_COLOUR_DISTANCE = 0.12
_SHOWN = 0.5


def motion_extent(track: Track, action: str) -> float:
    """Return how far the subject went in the action's direction.

    Unit: fractions of the picture's side; for `comes_closer` and `goes_away` the logarithm of the growth; for `stays`
    minus the largest change relative to its tolerance, so that values above -1 count as still.
    """
    x, y = _settled(track.centre_x), _settled(track.centre_y)
    growth = float(np.log(max(track.size[-2:].mean(), 1e-3) / max(track.size[:2].mean(), 1e-3)))
    peak = float(track.centre_y[0] - track.centre_y.min())
    extents = {
        "moves_left": -x,
        "moves_right": x,
        "rises": -y,
        "sinks": y,
        "comes_closer": growth,
        "goes_away": -growth,
        "jumps": min(peak, peak - abs(y)),
        "stays": -max(
            np.ptp(track.centre_x) / _STILL_SHIFT,
            np.ptp(track.centre_y) / _STILL_SHIFT,
            abs(growth) / _STILL_GROWTH,
        ),
    }
    return float(extents[action])


def is_motion_followed(made: Track, drawn: Track, action: str) -> bool:
    """Return True if the action happened, at least half as far as in the drawn clip."""
    extent = motion_extent(made, action)
    if action == "stays":
        return extent > -1.0
    return bool(extent >= _FOLLOWED_SHARE * motion_extent(drawn, action))


def is_light_followed(made: Track, drawn: Track, light: str) -> bool:
    """Return True if the light changed in the right direction, at least half as much as in the drawn clip."""
    change, wanted = _settled(made.light), _settled(drawn.light)
    if light == "steady":
        return abs(change) < _STEADY_LIGHT
    return bool(change * np.sign(wanted) >= _FOLLOWED_SHARE * abs(wanted))


def is_subject_kept(made_frame: NDArray[np.uint8], made: Track, drawn_frame: NDArray[np.uint8], drawn: Track) -> bool:
    """Return True if the subject has the drawn shape and colour in the last frame, wherever it stands.

    Both frames: [height, width, 3] uint8.
    """
    moved = _moved_to(made, drawn)
    union = max(int((moved | drawn.masks[-1]).sum()), 1)
    overlap = int((moved & drawn.masks[-1]).sum()) / union
    colours = [
        frame[track.masks[-1]].mean(axis=0) / 255.0 if track.masks[-1].any() else np.zeros(3)
        for frame, track in ((made_frame, made), (drawn_frame, drawn))
    ]
    distance = float(np.abs(colours[0] - colours[1]).mean())
    return bool(overlap >= _SAME_SHAPE_OVERLAP and distance <= _SAME_COLOUR_DISTANCE)


def subject_psnr_db(frames: NDArray[np.uint8], drawn: Clip) -> float:
    """Return the PSNR in dB of a clip [frames, height, width, 3] on the pixels of the drawn subject.

    In the synthetic world picture and sentence determine the clip, so the drawn clip is the only right one.
    """
    shown = drawn.masks > _SHOWN
    return psnr_db(frames[shown], drawn.frames[shown])


def scene_psnr_db(frame: NDArray[np.uint8], track: Track, spec: ClipSpec) -> float:
    """Return the PSNR in dB of the last frame [height, width, 3] against the drawn scene, outside the subject.

    Distractor and lettering are left out. A frame without anything of the scene, whose subject is everywhere, has 0 dB.
    """
    drawn = apply_light(render_backdrop(spec), float(track.light[-1])) * 255.0
    beside = ~(track.masks[-1] | additions(spec))
    return psnr_db(frame[beside], drawn[beside]) if beside.any() else 0.0


def psnr_db(made: NDArray[Any], wanted: NDArray[Any]) -> float:
    """Return the peak signal-to-noise ratio in dB of two 8-bit arrays of one shape."""
    error = float(np.mean((made.astype(np.float64) - wanted.astype(np.float64)) ** 2))
    return float(10.0 * np.log10(255.0**2 / max(error, 1e-9)))


def _settled(values: NDArray[np.float64]) -> float:
    """Change from the first two frames to the last two."""
    return float(values[-2:].mean() - values[:2].mean())


def _moved_to(made: Track, drawn: Track) -> NDArray[np.bool_]:
    side = made.masks.shape[-1]
    dy = round((drawn.centre_y[-1] - made.centre_y[-1]) * side)
    dx = round((drawn.centre_x[-1] - made.centre_x[-1]) * side)
    return np.roll(made.masks[-1], (dy, dx), axis=(0, 1))
