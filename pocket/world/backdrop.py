"""Paints what stands still in a clip: the scene, and what a spec adds to it. Frames are cut out of the drawing here."""

from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

from pocket.world.brush import LAYER_PX, Brush
from pocket.world.scenery import paint_scene
from pocket.world.spec import ClipSpec, Distractor, Framing
from pocket.world.subjects import PAINTERS
from pocket.world.vocabulary import COLOURS

_FONT_SHARE, _LETTERS_TOP, _OUTLINE_SHARE = 0.17, 0.03, 0.012  # of the picture's side


def paint_backdrop(spec: ClipSpec) -> Image.Image:
    """Return the RGB backdrop of a spec, LAYER_PX wide and high, in the light of the scene."""
    return _painted(spec.scene, spec.scenery_seed, spec.distractor, spec.lettering).copy()


def framed(drawing: Image.Image, framing: Framing) -> Image.Image:
    """Return the framed part of a drawing at the size of the drawing."""
    if framing == Framing():
        return drawing
    left, top, right, low = (edge * LAYER_PX for edge in (framing.left, framing.top, framing.right, framing.low))
    return drawing.resize(drawing.size, Image.Resampling.BICUBIC, box=(left, top, right, low))


@lru_cache(maxsize=8)
def _painted(scene: str, seed: int, distractor: Distractor | None, lettering: str) -> Image.Image:
    backdrop = paint_scene(scene, seed)
    if distractor is not None:
        brush = Brush(distractor.centre_x, distractor.centre_y, distractor.size, 1.0)
        PAINTERS[distractor.subject](brush, COLOURS[distractor.colour], 0.0)
        backdrop.paste(brush.layer, mask=brush.layer)
    if lettering:
        font = ImageFont.load_default(_FONT_SHARE * LAYER_PX)
        middle = (LAYER_PX / 2, _LETTERS_TOP * LAYER_PX)
        width = round(_OUTLINE_SHARE * LAYER_PX)
        ImageDraw.Draw(backdrop).text(
            middle, lettering, "white", font, anchor="ma", stroke_width=width, stroke_fill="black"
        )
    return backdrop
