"""Paints the backdrop of each scene, with small seeded variations."""

import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from pocket.world.brush import LAYER_PX, Point, shade
from pocket.world.vocabulary import Rgb

Rng = np.random.Generator

_SKY_TOP: Rgb = (120, 186, 238)
_SKY_LOW: Rgb = (222, 240, 250)
_SUN: Rgb = (255, 232, 150)
_CLOUD: Rgb = (250, 252, 255)


def paint_scene(scene: str, seed: int) -> Image.Image:
    """Paint an RGB backdrop, LAYER_PX wide and high; the seed shifts its parts a little."""
    return _SCENES[scene](np.random.default_rng(seed))


def _gradient(top: Rgb, low: Rgb) -> Image.Image:
    share = np.linspace(0.0, 1.0, LAYER_PX)[:, None]  # [height, 1]
    column = np.asarray(top) * (1.0 - share) + np.asarray(low) * share  # [height, 3]
    return Image.fromarray(np.repeat(column[:, None], LAYER_PX, axis=1).astype(np.uint8))


def _px(points: list[Point]) -> list[Point]:
    return [(x * LAYER_PX, y * LAYER_PX) for x, y in points]


def _disc(draw: ImageDraw.ImageDraw, centre: Point, radii: Point, colour: Rgb) -> None:
    (x, y), (across, down) = centre, radii
    (low, high) = _px([(x - across, y - down), (x + across, y + down)])
    draw.ellipse((*low, *high), fill=colour)


def _band(draw: ImageDraw.ImageDraw, top: float, colour: Rgb, low: float = 1.0) -> None:
    draw.rectangle((0, top * LAYER_PX, LAYER_PX, low * LAYER_PX), fill=colour)


def _hill(draw: ImageDraw.ImageDraw, top: float, height: float, shift: float, colour: Rgb) -> None:
    ridge: list[Point] = [(x, top - height * math.sin(math.pi * (1.6 * x + shift))) for x in np.linspace(0, 1, 33)]
    draw.polygon(_px([*ridge, (1.0, 1.0), (0.0, 1.0)]), fill=colour)


def _clouds(draw: ImageDraw.ImageDraw, rng: Rng, places: list[Point], radius: float) -> None:
    for usual_x, usual_y in places:
        x, y = usual_x + rng.uniform(-0.05, 0.05), usual_y + rng.uniform(-0.03, 0.03)
        for dx, dy, share in ((-1.1, 0.25, 0.7), (0.0, 0.0, 1.0), (1.1, 0.25, 0.75)):
            reach = radius * share
            _disc(draw, (x + dx * radius, y + dy * radius), (reach * 1.2, reach * 0.8), _CLOUD)


def _room(rng: Rng) -> Image.Image:
    walls: tuple[Rgb, ...] = ((246, 224, 200), (214, 228, 222), (232, 214, 228))
    wall = walls[rng.integers(3)]
    picture = _gradient(shade(wall, 0.25), wall)
    draw = ImageDraw.Draw(picture)
    floor_y = 0.72 + rng.uniform(-0.02, 0.02)
    _band(draw, floor_y, (206, 160, 118))
    _band(draw, floor_y, (250, 244, 234), floor_y + 0.03)
    left = 0.06 if rng.random() < 0.5 else 0.62
    frame, glass = _px([(left, 0.08), (left + 0.32, 0.42)]), _px([(left + 0.03, 0.11), (left + 0.29, 0.39)])
    draw.rectangle((*frame[0], *frame[1]), fill=(252, 250, 246))
    draw.rectangle((*glass[0], *glass[1]), fill=(150, 204, 240))
    _disc(draw, (0.5, 0.9), (0.42, 0.07), (224, 140, 126))
    return picture


def _road(rng: Rng) -> Image.Image:
    picture = _gradient(_SKY_TOP, _SKY_LOW)
    draw = ImageDraw.Draw(picture)
    _clouds(draw, rng, [(0.25, 0.16), (0.78, 0.22)], 0.07)
    _hill(draw, 0.56, 0.06, rng.uniform(0, 2), (142, 196, 132))
    _band(draw, 0.62, (112, 178, 106))
    _band(draw, 0.7, (126, 130, 142), 0.95)
    _band(draw, 0.7, (214, 214, 210), 0.72)
    for x in (0.02, 0.38, 0.74):
        low, high = _px([(x, 0.86), (x + 0.2, 0.885)])
        draw.rectangle((*low, *high), fill=(248, 240, 214))
    return picture


def _meadow(rng: Rng) -> Image.Image:
    picture = _gradient(_SKY_TOP, _SKY_LOW)
    draw = ImageDraw.Draw(picture)
    _disc(draw, (rng.uniform(0.12, 0.3), 0.16), (0.09, 0.09), _SUN)
    _clouds(draw, rng, [(0.75, 0.18)], 0.08)
    _hill(draw, 0.58, 0.08, rng.uniform(0, 2), (150, 206, 128))
    _hill(draw, 0.72, 0.05, rng.uniform(0, 2), (116, 186, 100))
    return picture


def _beach(rng: Rng) -> Image.Image:
    picture = _gradient(_SKY_TOP, (250, 236, 214))
    draw = ImageDraw.Draw(picture)
    _disc(draw, (rng.uniform(0.7, 0.88), 0.18), (0.09, 0.09), _SUN)
    _band(draw, 0.46, (82, 178, 206))
    _hill(draw, 0.66, 0.025, rng.uniform(0, 2), (244, 250, 250))
    _hill(draw, 0.69, 0.025, rng.uniform(0, 2), (240, 218, 168))
    return picture


def _waves(draw: ImageDraw.ImageDraw, rng: Rng, top: float, colour: Rgb) -> None:
    for index, y in enumerate((top, top + 0.16, top + 0.34)):
        _hill(draw, y, 0.02, rng.uniform(0, 2), shade(colour, -0.1 * index))


def _sea(rng: Rng) -> Image.Image:
    picture = _gradient((134, 194, 240), (252, 232, 206))
    draw = ImageDraw.Draw(picture)
    _disc(draw, (rng.uniform(0.15, 0.35), 0.2), (0.1, 0.1), _SUN)
    _clouds(draw, rng, [(0.78, 0.16)], 0.07)
    _waves(draw, rng, 0.52, (78, 162, 206))
    return picture


def _lake(rng: Rng) -> Image.Image:
    picture = _gradient((166, 206, 238), (240, 240, 236))
    draw = ImageDraw.Draw(picture)
    shift = rng.uniform(-0.06, 0.06)
    for x, peak, reach in ((0.24 + shift, 0.16, 0.34), (0.76 + shift, 0.22, 0.36)):
        draw.polygon(_px([(x, peak), (x + reach, 0.52), (x - reach, 0.52)]), fill=(128, 146, 176))
        draw.polygon(
            _px([(x, peak), (x + reach * 0.28, peak + 0.1), (x - reach * 0.28, peak + 0.1)]),
            fill=_CLOUD,
        )
    _band(draw, 0.48, (108, 164, 124), 0.54)
    _waves(draw, rng, 0.54, (112, 190, 200))
    return picture


def _reef(rng: Rng) -> Image.Image:
    picture = _gradient((126, 216, 226), (30, 92, 150))
    draw = ImageDraw.Draw(picture, "RGBA")
    for usual_x in (0.15, 0.5, 0.8):
        x = usual_x + rng.uniform(-0.06, 0.06)
        draw.polygon(
            _px([(x, 0.0), (x + 0.12, 0.0), (x - 0.02, 0.9), (x - 0.24, 0.9)]),
            fill=(255, 255, 255, 26),
        )
    draw = ImageDraw.Draw(picture)
    _hill(draw, 0.88, 0.03, rng.uniform(0, 2), (226, 206, 160))
    for x, colour in ((0.12, (232, 112, 120)), (0.88, (240, 160, 96))):
        for dx, radius in ((-0.06, 0.06), (0.02, 0.08), (0.09, 0.05)):
            _disc(draw, (x + dx, 0.88 - radius * 0.6), (radius, radius), colour)
    return picture


def _sky(rng: Rng) -> Image.Image:
    picture = _gradient((96, 166, 232), (214, 236, 250))
    draw = ImageDraw.Draw(picture)
    _clouds(draw, rng, [(0.2, 0.2), (0.8, 0.34), (0.28, 0.84), (0.85, 0.88)], 0.09)
    return picture


_SCENES: dict[str, Callable[[Rng], Image.Image]] = {
    "room": _room,
    "road": _road,
    "meadow": _meadow,
    "beach": _beach,
    "sea": _sea,
    "lake": _lake,
    "reef": _reef,
    "sky": _sky,
}
