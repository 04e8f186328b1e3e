"""Turns a clip's action and change of light into curves over time: position, size and light at each frame."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocket.world.spec import ClipSpec
from pocket.world.vocabulary import FRAME_COUNT, SUBJECTS

Curve = NDArray[np.float64]

_ACROSS_EXTENT = 0.27
_VERTICAL_EXTENT = 0.24
_JUMP_HEIGHT = 0.22
_CLOSER_FACTOR = 1.5
_AWAY_FACTOR = 0.58
_LIGHT_EXTENT = 0.75
_TURN_FRAMES = 4
_GROUND_CENTRE_Y = 0.60
_FLOAT_CENTRE_Y = 0.50


@dataclass(frozen=True)
class Motion:
    """Curves over the frames, each [frame_count] float64; positions and size are fractions of the picture's side."""

    centre_x: Curve
    centre_y: Curve
    size: Curve
    side: Curve
    """+1 facing right, -1 facing left, values in between while turning."""
    height: Curve
    """Distance of the subject above its resting place, for the shadow."""
    light: Curve
    phase: Curve
    """Completed cycles of the walk, flap or roll; negative when rolling back."""


def plan_motion(spec: ClipSpec) -> Motion:
    """Return the curves of a spec's clip."""
    time = np.linspace(0.0, 1.0, FRAME_COUNT)
    progress = 0.5 * time + 0.5 * time * time * (3.0 - 2.0 * time)
    still = np.zeros(FRAME_COUNT)
    x, y, height, factor = still.copy(), still.copy(), still.copy(), still + 1.0
    match spec.action:
        case "moves_left":
            x = -_ACROSS_EXTENT * spec.extent * progress
        case "moves_right":
            x = _ACROSS_EXTENT * spec.extent * progress
        case "rises":
            y = -_VERTICAL_EXTENT * spec.extent * progress
        case "sinks":
            y = _VERTICAL_EXTENT * spec.extent * progress
        case "jumps":
            height = _JUMP_HEIGHT * spec.extent * 4.0 * time * (1.0 - time)
        case "comes_closer":
            factor = np.power(_CLOSER_FACTOR, progress * spec.extent)
        case "goes_away":
            factor = np.power(_AWAY_FACTOR, progress * spec.extent)
        case "stays":
            pass
        case unknown:
            raise ValueError(f"unknown action {unknown!r}")
    on_ground = SUBJECTS[spec.subject].rests_on_ground
    base_y = (_GROUND_CENTRE_Y if on_ground else _FLOAT_CENTRE_Y) + spec.lift
    nearness = 0.08 * (factor - 1.0)
    return Motion(
        centre_x=spec.centre_x + x,
        centre_y=base_y + y - height + nearness,
        size=spec.size * factor,
        side=_side(spec, time),
        height=height,
        light=spec.start_light + _light_change(spec.light) * progress,
        phase=_phase(spec, time),
    )


def _side(spec: ClipSpec, time: Curve) -> Curve:
    wanted = {"moves_left": -1, "moves_right": 1}.get(spec.action, spec.facing)
    if not SUBJECTS[spec.subject].turns or wanted == spec.facing:
        return np.full(FRAME_COUNT, float(spec.facing))
    turned = np.clip(time * (FRAME_COUNT - 1) / _TURN_FRAMES, 0.0, 1.0)
    return np.asarray(spec.facing * np.cos(np.pi * turned))


def _phase(spec: ClipSpec, time: Curve) -> Curve:
    if spec.subject == "ball":
        return time * {"moves_left": -1.0, "moves_right": 1.0}.get(spec.action, 0.0)
    return time


def _light_change(light: str) -> float:
    return {"steady": 0.0, "fades": -_LIGHT_EXTENT, "grows": _LIGHT_EXTENT}[light]
