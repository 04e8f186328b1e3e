"""Draws each subject, in the subject's own coordinates (see `brush`)."""

import math
from collections.abc import Callable

from pocket.world.brush import Brush, Point, shade, smooth
from pocket.world.vocabulary import Rgb

Painter = Callable[[Brush, Rgb, float], None]

_INK: Rgb = (44, 42, 56)
_CREAM: Rgb = (252, 246, 236)
_SKIN: Rgb = (244, 200, 166)
_BEAK: Rgb = (248, 170, 60)
_ROSE: Rgb = (240, 160, 164)
_BALL_TURNS = 0.12
_GLASS: Rgb = (196, 226, 240)


def _swing(phase: float) -> float:
    return math.sin(2.0 * math.pi * phase)


def _eyes(brush: Brush, y: float, apart: float, radius: float) -> None:
    for x in (-apart, apart):
        brush.ellipse((x, y), (radius, radius * 1.15), _INK)
        brush.ellipse((x + radius * 0.3, y - radius * 0.4), (radius * 0.35, radius * 0.35), _CREAM)


def _cat(brush: Brush, colour: Rgb, phase: float) -> None:
    sway = 0.04 * _swing(phase)
    dark, light = shade(colour, -0.16), shade(colour, 0.4)
    brush.line([(0.18, 0.42), (0.36, 0.36), (0.42 + sway, 0.14), (0.38 + sway, 0.0)], 0.1, dark)
    brush.polygon(smooth([(0.0, -0.1), (0.24, 0.12), (0.28, 0.5), (-0.28, 0.5), (-0.24, 0.12)]), colour)
    brush.ellipse((0.0, 0.26), (0.14, 0.2), light)
    for x in (-0.14, 0.14):
        brush.ellipse((x, 0.45), (0.1, 0.055), light)
    for sign in (-1, 1):
        brush.polygon([(sign * 0.29, -0.5), (sign * 0.04, -0.36), (sign * 0.29, -0.2)], colour)
        brush.polygon([(sign * 0.25, -0.42), (sign * 0.12, -0.35), (sign * 0.25, -0.26)], _ROSE)
    brush.ellipse((0.0, -0.17), (0.31, 0.25), colour)
    brush.ellipse((0.0, -0.07), (0.15, 0.1), light)
    eye = _INK if sum(colour) > 260 else _BEAK
    for x in (-0.13, 0.13):
        brush.ellipse((x, -0.2), (0.05, 0.065), eye)
    brush.ellipse((0.0, -0.11), (0.04, 0.028), _ROSE)


def _person(brush: Brush, colour: Rgb, phase: float) -> None:
    stride = 0.05 * _swing(phase)
    trousers: Rgb = (70, 78, 112)
    for sign in (-1, 1):
        foot = 0.47 + sign * 0.4 * stride
        brush.line([(sign * 0.09, 0.14), (sign * 0.1, foot)], 0.15, trousers)
        brush.ellipse((sign * 0.11, foot), (0.1, 0.045), _INK)
        hand = (sign * 0.28, 0.12 - sign * stride)
        brush.line([(sign * 0.17, -0.12), hand], 0.1, shade(colour, -0.14))
        brush.ellipse(hand, (0.055, 0.055), _SKIN)
    brush.polygon(smooth([(-0.2, -0.18), (0.2, -0.18), (0.2, 0.2), (-0.2, 0.2)], steps=4), colour)
    brush.ellipse((0.0, -0.33), (0.185, 0.19), (96, 62, 48))
    brush.ellipse((0.0, -0.29), (0.15, 0.15), _SKIN)
    brush.polygon(smooth([(-0.16, -0.36), (0.0, -0.5), (0.16, -0.36), (0.0, -0.4)]), (96, 62, 48))
    _eyes(brush, -0.28, 0.06, 0.024)


def _car(brush: Brush, colour: Rgb, _phase: float) -> None:
    dark, light = shade(colour, -0.2), shade(colour, 0.25)
    brush.polygon(smooth([(-0.3, 0.02), (-0.2, -0.26), (0.12, -0.27), (0.28, 0.02)], 5), light)
    brush.polygon([(-0.23, 0.0), (-0.16, -0.2), (-0.02, -0.21), (-0.02, 0.0)], _GLASS)
    brush.polygon([(0.03, 0.0), (0.03, -0.21), (0.12, -0.2), (0.21, 0.0)], _GLASS)
    brush.polygon(
        smooth([(-0.5, 0.0), (-0.2, -0.03), (0.26, -0.02), (0.49, 0.07), (0.5, 0.23), (-0.5, 0.23)]),
        colour,
    )
    brush.polygon([(-0.48, 0.16), (0.49, 0.16), (0.49, 0.23), (-0.48, 0.23)], dark)
    brush.ellipse((0.45, 0.08), (0.045, 0.045), (255, 240, 170))
    for x in (-0.28, 0.28):
        brush.ellipse((x, 0.24), (0.135, 0.135), _INK)
        brush.ellipse((x, 0.24), (0.065, 0.065), (206, 208, 214))


def _dolphin(brush: Brush, colour: Rgb, phase: float) -> None:
    beat = 0.04 * _swing(phase)
    dark, light = shade(colour, -0.18), shade(colour, 0.55)
    brush.polygon([(-0.3, 0.02), (-0.5, -0.15 + beat), (-0.42, 0.04 + beat), (-0.5, 0.2 + beat)], dark)
    brush.polygon([(-0.08, -0.14), (-0.13, -0.36), (0.12, -0.16)], dark)
    brush.polygon(
        smooth(
            [
                (-0.42, 0.04 + beat),
                (-0.15, -0.16),
                (0.14, -0.2),
                (0.33, -0.1),
                (0.5, 0.05),
                (0.31, 0.12),
                (0.05, 0.18),
                (-0.2, 0.13),
            ]
        ),
        colour,
    )
    brush.polygon(
        smooth([(0.42, 0.07), (0.25, 0.13), (0.02, 0.17), (-0.18, 0.12), (0.05, 0.07), (0.25, 0.05)]),
        light,
    )
    brush.polygon([(0.1, 0.1), (0.0, 0.34), (-0.06, 0.12)], dark)
    brush.ellipse((0.29, -0.03), (0.032, 0.036), _INK)


def _boat(brush: Brush, colour: Rgb, phase: float) -> None:
    roll = 0.015 * _swing(phase)
    brush.polygon([(-0.02, -0.48), (0.03, -0.48), (0.03, 0.22), (-0.02, 0.22)], (132, 96, 70))
    brush.polygon([(0.06 + roll, -0.44), (0.42 + roll, 0.12), (0.06, 0.14)], _CREAM)
    brush.polygon([(-0.05 + roll, -0.36), (-0.05, 0.14), (-0.34 + roll, 0.12)], shade(colour, 0.5))
    brush.polygon([(-0.48, 0.2), (0.48, 0.2), (0.3, 0.46), (-0.3, 0.46)], colour)
    brush.polygon([(-0.48, 0.2), (0.48, 0.2), (0.44, 0.26), (-0.44, 0.26)], shade(colour, 0.45))
    brush.polygon([(-0.35, 0.39), (0.35, 0.39), (0.3, 0.46), (-0.3, 0.46)], shade(colour, -0.25))


def _bird(brush: Brush, colour: Rgb, phase: float) -> None:
    flap = 0.1 * _swing(phase + 0.05)
    dark, light = shade(colour, -0.18), shade(colour, 0.5)
    for sign in (-1, 1):
        brush.polygon(
            smooth(
                [
                    (sign * 0.12, -0.1),
                    (sign * 0.36, -0.16 - flap),
                    (sign * 0.5, -0.06 - flap),
                    (sign * 0.36, 0.12 - 0.5 * flap),
                    (sign * 0.14, 0.16),
                ]
            ),
            dark,
        )
    brush.polygon([(-0.1, 0.28), (0.1, 0.28), (0.14, 0.48), (-0.14, 0.48)], dark)
    brush.ellipse((0.0, 0.02), (0.24, 0.34), colour)
    brush.ellipse((0.0, 0.14), (0.16, 0.2), light)
    _eyes(brush, -0.13, 0.1, 0.045)
    brush.polygon([(-0.06, -0.06), (0.06, -0.06), (0.0, 0.06)], _BEAK)


def _ball(brush: Brush, colour: Rgb, phase: float) -> None:
    turn = phase * _BALL_TURNS
    brush.ellipse((0.0, 0.0), (0.5, 0.5), colour)
    for sector in range(3):
        start = 2.0 * math.pi * (sector / 3.0 + turn)
        arc = [start + k * math.pi / 15.0 for k in range(6)]
        rim: list[Point] = [(0.5 * math.cos(a), 0.5 * math.sin(a)) for a in arc]
        brush.polygon([(0.0, 0.0), *rim], _CREAM)
    brush.ellipse((0.0, 0.0), (0.11, 0.11), shade(colour, 0.2))
    brush.ellipse((-0.2, -0.24), (0.09, 0.07), shade(colour, 0.8))


def _fish(brush: Brush, colour: Rgb, phase: float) -> None:
    beat = 0.04 * _swing(phase)
    dark, light = shade(colour, -0.2), shade(colour, 0.6)
    brush.polygon([(-0.2, 0.0), (-0.5, -0.24 + beat), (-0.42, 0.0 + beat), (-0.5, 0.24 + beat)], dark)
    brush.polygon(smooth([(-0.12, -0.2), (0.0, -0.42), (0.2, -0.34), (0.2, -0.18)]), dark)
    brush.polygon(smooth([(-0.02, 0.2), (-0.06, 0.38), (0.12, 0.32), (0.14, 0.2)]), dark)
    brush.ellipse((0.1, 0.0), (0.38, 0.29), colour)
    brush.polygon(smooth([(0.1, -0.28), (0.16, 0.0), (0.1, 0.28), (-0.02, 0.27), (0.03, 0.0), (-0.02, -0.27)]), light)
    brush.ellipse((0.3, -0.07), (0.075, 0.08), _CREAM)
    brush.ellipse((0.32, -0.07), (0.042, 0.048), _INK)


PAINTERS: dict[str, Painter] = {
    "cat": _cat,
    "person": _person,
    "car": _car,
    "dolphin": _dolphin,
    "boat": _boat,
    "bird": _bird,
    "ball": _ball,
    "fish": _fish,
}
