"""Draws the pictures that no photograph gives, 832 x 480 or 480 x 832 pixels, with the painters of pocket's world."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageOps

from evaluation.starter.backdrops import draw_backdrop
from pocket.world.brush import Brush
from pocket.world.subjects import PAINTERS
from pocket.world.vocabulary import COLOURS

WIDE_PX = (832, 480)
TALL_PX = (480, 832)

_SUPERSAMPLING = 2


@dataclass(frozen=True)
class _Pose:
    """Placing of a kind of subject in the picture: painter, height of its centre, size, and where its shadow lies."""

    painter: str
    centre_y: float = 0.56
    size: float = 0.62
    floor: float | None = None


_POSES = {
    "cat": _Pose("cat", floor=0.48),
    "boy": _Pose("person", 0.6, 0.7, floor=0.49),
    "girl": _Pose("person", 0.62, 0.62, floor=0.49),
    "man": _Pose("person", 0.57, 0.78, floor=0.49),
    "car": _Pose("car", 0.66, 0.72, floor=0.36),
    "dolphin": _Pose("dolphin", 0.5, 0.72),
    "boat": _Pose("boat", 0.5, 0.7),
    "bird": _Pose("bird", 0.5, 0.62),
    "ball": _Pose("ball", 0.66, 0.5, floor=0.48),
    "fish": _Pose("fish", 0.5, 0.62),
    "horse": _Pose("horse", 0.57, 0.74, floor=0.48),
}


def draw_picture(kind: str, scene: str, colour: str, *, tall: bool) -> Image.Image:
    """Draw a subject of pocket's world before a backdrop as an RGB picture."""
    pose, picture = _backdrop(kind, scene, tall=tall)
    brush = Brush(0.5, pose.centre_y, pose.size, 1.0, picture.size)
    PAINTERS[pose.painter](brush, COLOURS[colour], 0.1)
    picture.paste(brush.layer, mask=brush.layer)
    return picture.reduce(_SUPERSAMPLING)


def place_silhouette(silhouette: Image.Image, kind: str, scene: str) -> Image.Image:
    """Put a black shape on white, as an L picture, before a wide backdrop, as large as a drawn subject of that kind."""
    pose, picture = _backdrop(kind, scene, tall=False)
    height = round(pose.size * picture.height)
    placed = silhouette.resize((round(height * silhouette.width / silhouette.height), height))
    shape = ImageOps.invert(placed)
    left, top = (picture.width - placed.width) // 2, round(pose.centre_y * picture.height) - height // 2
    picture.paste((24, 22, 26), (left, top), shape)
    return picture.reduce(_SUPERSAMPLING)


def _backdrop(kind: str, scene: str, *, tall: bool) -> tuple[_Pose, Image.Image]:
    pose = _POSES[kind]
    width, height = (side * _SUPERSAMPLING for side in (TALL_PX if tall else WIDE_PX))
    picture = draw_backdrop(scene, width, height)
    if pose.floor is not None:
        unit = min(width, height) * pose.size
        x, y = width / 2, height * pose.centre_y + unit * pose.floor
        box = (x - 0.36 * unit, y - 0.05 * unit, x + 0.36 * unit, y + 0.06 * unit)
        ImageDraw.Draw(picture, "RGBA").ellipse(box, fill=(30, 26, 50, 70))
    return pose, picture
