"""Backdrops of the drawn pictures, at any size."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

from evaluation.starter.canvas import Canvas, Rgb

_SKY: tuple[Rgb, Rgb] = ((112, 178, 236), (226, 241, 250))
_SUN: Rgb = (255, 228, 140)
_GRASS: Rgb = (116, 184, 100)
_SEA: Rgb = (66, 148, 196)


def draw_backdrop(scene: str, width_px: int, height_px: int) -> Image.Image:
    """Draw a scene of ``DRAWN_SCENES`` as an RGB picture."""
    return DRAWN_SCENES[scene](width_px, height_px).picture


def _room(width_px: int, height_px: int) -> Canvas:
    canvas = Canvas(width_px, height_px, (250, 236, 218), (240, 218, 196))
    canvas.box((0.62, 0.1), (0.92, 0.5), (252, 250, 246))
    canvas.box((0.635, 0.13), (0.905, 0.47), (158, 208, 242))
    canvas.box((0.763, 0.13), (0.777, 0.47), (252, 250, 246))
    canvas.band(0.74, 0.765, (250, 244, 234))
    canvas.band(0.765, 1.0, (196, 148, 108))
    canvas.oval((0.5, 0.9), 0.6, 0.07, (220, 136, 122))
    return canvas


def _sofa(width_px: int, height_px: int) -> Canvas:
    canvas = _room(width_px, height_px)
    canvas.rounded_box((0.12, 0.42), (0.8, 0.86), (88, 118, 150))
    canvas.rounded_box((0.16, 0.66), (0.76, 0.8), (118, 148, 178))
    canvas.rounded_box((0.08, 0.56), (0.18, 0.9), (74, 102, 132))
    canvas.rounded_box((0.74, 0.56), (0.84, 0.9), (74, 102, 132))
    return canvas


def _meadow(width_px: int, height_px: int) -> Canvas:
    canvas = Canvas(width_px, height_px, *_SKY)
    canvas.oval((0.14, 0.16), 0.09, 0.09, _SUN)
    canvas.clouds((0.45, 0.16), (0.82, 0.2))
    canvas.ridge(0.58, 0.07, 0.4, (150, 206, 128))
    canvas.ridge(0.7, 0.04, 1.3, _GRASS)
    return canvas


def _garden(width_px: int, height_px: int) -> Canvas:
    canvas = Canvas(width_px, height_px, *_SKY)
    canvas.oval((0.12, 0.42), 0.26, 0.3, (84, 150, 84))
    canvas.oval((0.9, 0.4), 0.28, 0.32, (76, 142, 80))
    for index in range(17):
        left = index / 16.0 - 0.018
        canvas.box((left, 0.46), (left + 0.036, 0.66), (250, 248, 240))
    canvas.band(0.52, 0.55, (250, 248, 240))
    canvas.band(0.64, 1.0, _GRASS)
    petals: tuple[Rgb, ...] = ((232, 92, 110), (250, 206, 84), (176, 120, 214), (250, 250, 250))
    for index, x in enumerate((0.05, 0.13, 0.2, 0.28, 0.72, 0.8, 0.87, 0.95)):
        y = 0.8 + 0.1 * (index % 2)
        canvas.box((x - 0.003, y), (x + 0.003, y + 0.09), (62, 128, 66))
        canvas.oval((x, y), 0.035, 0.035, petals[index % 4])
        canvas.oval((x, y), 0.013, 0.013, (240, 170, 60))
    return canvas


def _sports_ground(width_px: int, height_px: int) -> Canvas:
    canvas = Canvas(width_px, height_px, *_SKY)
    canvas.clouds((0.25, 0.16))
    canvas.band(0.42, 0.52, (196, 200, 210))
    for y in (0.44, 0.47, 0.5):
        canvas.band(y, y + 0.008, (150, 156, 172))
    canvas.band(0.52, 0.66, _GRASS)
    canvas.band(0.66, 1.0, (196, 92, 70))
    for y in (0.7, 0.78, 0.88):
        canvas.band(y, y + 0.01, (250, 246, 240))
    return canvas


def _road(width_px: int, height_px: int) -> Canvas:
    canvas = Canvas(width_px, height_px, *_SKY)
    canvas.clouds((0.2, 0.15), (0.78, 0.2))
    canvas.ridge(0.55, 0.05, 0.7, (142, 196, 132))
    canvas.band(0.62, 1.0, (112, 178, 106))
    canvas.band(0.68, 0.95, (124, 128, 140))
    canvas.band(0.68, 0.7, (214, 214, 210))
    for x in (0.02, 0.27, 0.52, 0.77):
        canvas.box((x, 0.86), (x + 0.14, 0.88), (248, 240, 214))
    return canvas


def _beach(width_px: int, height_px: int) -> Canvas:
    canvas = Canvas(width_px, height_px, _SKY[0], (250, 236, 214))
    canvas.oval((0.82, 0.17), 0.09, 0.09, _SUN)
    canvas.band(0.45, 1.0, (82, 178, 206))
    canvas.ridge(0.63, 0.02, 0.3, (244, 250, 250))
    canvas.ridge(0.66, 0.02, 0.4, (240, 218, 168))
    return canvas


def _sea(width_px: int, height_px: int) -> Canvas:
    canvas = Canvas(width_px, height_px, (134, 194, 240), (252, 232, 206))
    canvas.oval((0.2, 0.2), 0.1, 0.1, _SUN)
    canvas.clouds((0.78, 0.16))
    for index, top in enumerate((0.5, 0.62, 0.76, 0.9)):
        shade = 1.0 - 0.09 * index
        canvas.ridge(top, 0.018, 0.55 * index, (round(66 * shade), round(148 * shade), round(196 * shade)))
    return canvas


def _lake(width_px: int, height_px: int) -> Canvas:
    canvas = Canvas(width_px, height_px, (166, 206, 238), (240, 240, 236))
    for x, peak in ((0.26, 0.14), (0.74, 0.2)):
        canvas.polygon([(x, peak), (x + 0.36, 0.54), (x - 0.36, 0.54)], (128, 146, 176))
        canvas.polygon([(x, peak), (x + 0.09, peak + 0.1), (x - 0.09, peak + 0.1)], (250, 252, 255))
    canvas.band(0.48, 0.54, (108, 164, 124))
    canvas.band(0.54, 1.0, (112, 190, 200))
    for index, top in enumerate((0.66, 0.82)):
        canvas.ridge(top, 0.012, 0.8 * index, (104 - 10 * index, 180 - 10 * index, 192 - 10 * index))
    return canvas


def _sky(width_px: int, height_px: int) -> Canvas:
    canvas = Canvas(width_px, height_px, (92, 160, 230), (214, 236, 250))
    canvas.clouds((0.16, 0.2), (0.86, 0.3), (0.24, 0.86), (0.78, 0.84))
    return canvas


def _reef(width_px: int, height_px: int) -> Canvas:
    canvas = Canvas(width_px, height_px, (126, 216, 226), (30, 92, 150))
    canvas.ridge(0.88, 0.03, 0.2, (226, 206, 160))
    for x, colour in ((0.1, (232, 112, 120)), (0.3, (176, 120, 200)), (0.86, (240, 160, 96))):
        for beside, reach in ((-0.05, 0.07), (0.0, 0.1), (0.06, 0.06)):
            canvas.oval((x + beside, 0.9 - reach * 0.5), reach, reach, colour)
    for x, y, reach in ((0.2, 0.3, 0.014), (0.23, 0.2, 0.01), (0.78, 0.4, 0.016), (0.75, 0.28, 0.01)):
        canvas.oval((x, y), reach, reach, (206, 240, 248))
    return canvas


DRAWN_SCENES: dict[str, Callable[[int, int], Canvas]] = {
    "room": _room,
    "sofa": _sofa,
    "meadow": _meadow,
    "garden": _garden,
    "sports_ground": _sports_ground,
    "road": _road,
    "beach": _beach,
    "sea": _sea,
    "lake": _lake,
    "sky": _sky,
    "reef": _reef,
}
