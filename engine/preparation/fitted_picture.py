"""The picture that a clip starts from: the part of a picture that is used, at the size of the clip."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image as Pillow

from engine.api.capabilities import Capabilities, Geometry
from engine.api.job import ClipPlan, PictureFit
from engine.api.match_report import MatchReport
from engine.api.media import Box, FrameEncoding, Image, Pixels
from engine.media.encode import encode_frame
from engine.media.fitting import fit_picture, pad_picture
from engine.media.picture import decode_picture
from engine.preparation.geometry import resolve_crop, resolve_geometry


@dataclass(frozen=True, slots=True)
class FittedPicture:
    """``pixels`` are uint8 [height, width, 3] of the clip's size; ``crop`` is the part of the picture they show."""

    pixels: Pixels
    crop: Box
    warnings: tuple[str, ...]


def fit_to_clip(
    picture: Pillow.Image, fit: PictureFit, geometry: Geometry, report: MatchReport | None
) -> FittedPicture:
    """Cuts or pads a picture, and resizes it. ``report`` is needed for ``CROP_SUBJECT`` only.

    Raises ``InvalidJob`` for ``REFUSE`` and a picture of another aspect than the geometry's.
    """
    crop, warnings = resolve_crop(fit, picture, geometry, report)
    pixels = pad_picture(picture, geometry) if fit is PictureFit.PAD else fit_picture(picture, crop, geometry)
    return FittedPicture(pixels, crop, warnings)


def render_crop(image: Image, report: MatchReport, plan: ClipPlan, capabilities: Capabilities) -> bytes:
    """The picture, as PNG, from which a clip of that plan starts; without a fit in the plan, by ``CROP_SUBJECT``.

    ``image`` and ``plan`` must be those that the report was made from: they are not checked again. Raises like
    ``fit_to_clip``.
    """
    picture = decode_picture(image, capabilities.limits).upright
    geometry = resolve_geometry(plan.video, picture, capabilities)
    fitted = fit_to_clip(picture, plan.video.picture_fit or PictureFit.CROP_SUBJECT, geometry, report)
    return bytes(encode_frame(fitted.pixels, FrameEncoding.PNG))
