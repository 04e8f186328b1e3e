"""The faults of pictures that an arm asks for, drawn into the spec of a clip or put into its file."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
from PIL import Image as Pillow

from evaluation.plan.model import PictureChange
from pocket.world import SUBJECTS, ClipSpec, Distractor, Framing, render_picture

_MIDDLE = 0.5
_WIDE_SHARE = 2.0 / 3.0  # height of a 3:2 part of a square
_DISTRACTOR_SIZE, _DISTRACTOR_Y = 0.28, 0.24
_NEAR, _FAR = 0.2, 0.8


def change_spec(spec: ClipSpec, change: PictureChange, seed: int) -> ClipSpec:
    """The spec with the drawn faults of ``change``. The seed picks what is left open."""
    rng = np.random.default_rng([seed, 11])
    if change.size is not None:
        spec = replace(spec, size=change.size)
    if change.off_centre is not None:
        spec = replace(spec, centre_x=_MIDDLE + _side(spec, rng) * change.off_centre)
    if change.distractor:
        spec = replace(spec, distractor=_distractor(spec, rng))
    if change.lettering:
        spec = replace(spec, lettering=change.lettering)
    if change.stretched or change.cropped:
        spec = replace(spec, framing=_framing(spec, is_stretched=change.stretched))
    return spec


def picture_file(spec: ClipSpec, change: PictureChange) -> bytes:
    """The first frame as a PNG file, or as JPEG if the change asks for that."""
    stream = io.BytesIO()
    picture = Pillow.fromarray(render_picture(spec))
    if change.jpeg_quality is None:
        picture.save(stream, "PNG")
    else:
        picture.save(stream, "JPEG", quality=change.jpeg_quality)
    return stream.getvalue()


def _side(spec: ClipSpec, rng: np.random.Generator) -> int:
    """-1 left or +1 right of the middle: the side from which the subject moves inwards."""
    return {"moves_left": 1, "moves_right": -1}.get(spec.action, int(rng.choice((-1, 1))))


def _distractor(spec: ClipSpec, rng: np.random.Generator) -> Distractor:
    """Another kind of subject in another colour, high in the corner that the subject does not go to."""
    others = [s for s in SUBJECTS.values() if s.name != spec.subject]
    other = others[int(rng.integers(len(others)))]
    colours = [colour for colour in other.colours if colour != spec.colour]
    colour = colours[int(rng.integers(len(colours)))]
    x = {"moves_left": _FAR, "moves_right": _NEAR}.get(spec.action, float(rng.choice((_NEAR, _FAR))))
    return Distractor(other.name, colour, x, _DISTRACTOR_Y, _DISTRACTOR_SIZE)


def _framing(spec: ClipSpec, *, is_stretched: bool) -> Framing:
    """A 3:2 part around the subject's middle, or the square in the middle of that part."""
    ground = 0.6 if SUBJECTS[spec.subject].rests_on_ground else 0.5
    top = min(max(ground + spec.lift - _WIDE_SHARE / 2, 0.0), 1.0 - _WIDE_SHARE)
    low = top + _WIDE_SHARE
    if is_stretched:
        return Framing(0.0, top, 1.0, low)
    left = (1.0 - _WIDE_SHARE) / 2
    return Framing(left, top, 1.0 - left, low)
