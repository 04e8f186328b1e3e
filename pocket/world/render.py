"""Draws the clip of a spec: backdrop, shadow, subject and light, with the subject's mask as ground truth."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pocket.world.backdrop import framed, paint_backdrop
from pocket.world.brush import LAYER_PX, SUPERSAMPLING, Brush
from pocket.world.motion import Motion, plan_motion
from pocket.world.spec import ClipSpec
from pocket.world.subjects import PAINTERS
from pocket.world.vocabulary import COLOURS, PICTURE_PX, SUBJECTS

_DUSK = np.array((0.30, 0.34, 0.52))
_GLOW = np.array((1.0, 0.95, 0.80))
_GLOW_SHARE = 0.55
_FLOOR = {"cat": 0.47, "person": 0.48, "car": 0.36, "ball": 0.47}
"""Height at which each subject touches the ground, in its own coordinates (y points down)."""


@dataclass(frozen=True)
class Clip:
    """A drawn clip with its ground truth.

    frames: [frames, height, width, 3] uint8; masks: [frames, height, width] float32 in 0..1 (share of the pixel covered
    by the subject); motion: the curves that the clip is drawn from.
    """

    spec: ClipSpec
    frames: NDArray[np.uint8]
    masks: NDArray[np.float32]
    motion: Motion


def render_clip(spec: ClipSpec) -> Clip:
    """Draw all frames of a clip."""
    return render_motion(spec, plan_motion(spec))


def render_motion(spec: ClipSpec, motion: Motion) -> Clip:
    """Draw the frames of a motion of any length; of the spec, only subject, colour and scene have an effect."""
    backdrop = paint_backdrop(spec)
    drawn = [_render_frame(spec, motion, backdrop, index) for index in range(len(motion.centre_x))]
    frames, masks = zip(*drawn, strict=True)
    return Clip(spec, np.stack(frames), np.stack(masks), motion)


def render_picture(spec: ClipSpec, frame_index: int = 0) -> NDArray[np.uint8]:
    """Draw one frame: [height, width, 3] uint8."""
    return _render_frame(spec, plan_motion(spec), paint_backdrop(spec), frame_index)[0]


def render_still(spec: ClipSpec) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Draw the first frame and its mask: [height, width, 3] uint8 and [height, width] in 0..1."""
    return _render_frame(spec, plan_motion(spec), paint_backdrop(spec), 0)


def render_backdrop(spec: ClipSpec) -> NDArray[np.float64]:
    """Draw the scene without its subject and without any change of light: [height, width, 3] in 0..1."""
    backdrop = framed(paint_backdrop(spec), spec.framing).reduce(SUPERSAMPLING)
    return np.asarray(backdrop, dtype=np.float64) / 255.0


def render_additions(spec: ClipSpec) -> NDArray[np.bool_]:
    """Return the pixels that distractor and lettering cover: [height, width]; none without them."""
    plain = replace(spec, distractor=None, lettering="")
    if plain == spec:
        return np.zeros((PICTURE_PX, PICTURE_PX), np.bool_)
    return np.asarray((render_backdrop(spec) != render_backdrop(plain)).any(axis=-1))


def _render_frame(
    spec: ClipSpec, motion: Motion, backdrop: Image.Image, index: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    x, y = float(motion.centre_x[index]), float(motion.centre_y[index])
    size = float(motion.size[index])
    picture = backdrop.copy()
    if SUBJECTS[spec.subject].rests_on_ground:
        height = float(motion.height[index])
        _drop_shadow(picture, (x, y + height + _FLOOR[spec.subject] * size), size, height)
    brush = Brush(x, y, size, float(motion.side[index]))
    PAINTERS[spec.subject](brush, COLOURS[spec.colour], float(motion.phase[index]))
    picture.paste(brush.layer, mask=brush.layer)
    small = np.asarray(framed(picture, spec.framing).reduce(SUPERSAMPLING), dtype=np.float64) / 255.0
    shape = framed(brush.layer.getchannel("A"), spec.framing)
    mask = np.asarray(shape.reduce(SUPERSAMPLING), dtype=np.float32) / 255.0
    lit = apply_light(small, float(motion.light[index]))
    return np.round(lit * 255.0).astype(np.uint8), mask


def _drop_shadow(picture: Image.Image, touch: tuple[float, float], size: float, height: float) -> None:
    x, floor = touch
    reach = 0.36 * size * (1.0 - 1.2 * height)
    box = (x - reach, floor - 0.05 * size, x + reach, floor + 0.06 * size)
    left, top, right, low = (v * LAYER_PX for v in box)
    ImageDraw.Draw(picture, "RGBA").ellipse((left, top, right, low), fill=(30, 26, 50, 70))


def apply_light(picture: NDArray[np.float64], light: float) -> NDArray[np.float64]:
    """Darken a picture [height, width, 3] in 0..1 towards dusk (light < 0) or screen a warm glow on it (light > 0)."""
    if light <= 0.0:
        return picture * (1.0 + light * (1.0 - _DUSK))
    return picture + (1.0 - picture) * _GLOW * min(light, 1.0) * _GLOW_SHARE
