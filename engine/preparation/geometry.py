"""Chooses the compiled size and length of a clip, and the part of the picture that the clip shows."""

from __future__ import annotations

from PIL import Image as Pillow

from engine.api.capabilities import Capabilities, Geometry
from engine.api.errors import InvalidJob, NotCompiled, Violation
from engine.api.fields import Field
from engine.api.job import PictureFit, VideoSpec
from engine.api.match_report import MatchReport
from engine.api.media import Box
from engine.media.fitting import center_crop, choose_geometry

_SUBJECT_NOT_FOUND = "the subject was not found in the picture, so it is cut from the centre"


def resolve_geometry(video: VideoSpec, picture: Pillow.Image, capabilities: Capabilities) -> Geometry:
    """The compiled geometry that is asked for, or the one nearest to the picture's aspect. Raises ``NotCompiled``."""
    frame_count = video.frame_count or capabilities.geometries[0].frame_count
    of_length = [item for item in capabilities.geometries if item.frame_count == frame_count]
    if not of_length:
        lengths = sorted({item.frame_count for item in capabilities.geometries})
        raise NotCompiled(
            Violation(Field.FRAME_COUNT, f"is {frame_count}; this server was compiled for {_list(lengths)} frames")
        )
    if not video.width_px:
        return choose_geometry(picture, of_length)
    for item in of_length:
        if (item.width_px, item.height_px) == (video.width_px, video.height_px):
            return item
    sizes = [f"{item.width_px}x{item.height_px}" for item in of_length]
    raise NotCompiled(
        Violation(
            Field.WIDTH,
            f"asks for {video.width_px}x{video.height_px}; this server was compiled for "
            f"{_list(sizes)} at {frame_count} frames",
        )
    )


def resolve_crop(
    fit: PictureFit, picture: Pillow.Image, geometry: Geometry, report: MatchReport | None
) -> tuple[Box, tuple[str, ...]]:
    """The part of the picture to use, and warnings about it. ``report`` is needed for ``CROP_SUBJECT`` only.

    Raises ``InvalidJob`` for ``REFUSE`` and a picture of another aspect than the geometry's.
    """
    center = center_crop(picture, geometry)
    match fit:
        case PictureFit.CROP_CENTER:
            return center, ()
        case PictureFit.PAD:
            return Box(0, 0, picture.width, picture.height), ()
        case PictureFit.REFUSE:
            if picture.width - center.width_px > 1 or picture.height - center.height_px > 1:
                raise InvalidJob(Violation(Field.IMAGE_DATA, _wrong_aspect(picture, geometry)))
            return center, ()
        case PictureFit.CROP_SUBJECT:
            found = _proposed_crop(report, geometry)
            return (center, (_SUBJECT_NOT_FOUND,)) if found is None else (found, ())


def _proposed_crop(report: MatchReport | None, geometry: Geometry) -> Box | None:
    """The crop that a match report proposes for a size; None if the report did not find the subject."""
    if report is None or report.grounding is None or report.grounding.box is None:
        return None
    size = (geometry.width_px, geometry.height_px)
    return next((item.crop for item in report.crops if (item.width_px, item.height_px) == size), None)


def _wrong_aspect(picture: Pillow.Image, geometry: Geometry) -> str:
    return (
        f"is {picture.width}x{picture.height} pixels, not of the aspect of {geometry.width_px}x{geometry.height_px}; "
        "crop it, or choose another picture fit"
    )


def _list(items: list[int] | list[str]) -> str:
    return ", ".join(map(str, items))
