"""Chooses the compiled size and length of a clip, and the part of the picture that the clip shows."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image as Pillow

from engine.api.capabilities import Capabilities, Geometry
from engine.api.errors import InvalidJob, NotCompiled, Violation
from engine.api.fields import Field
from engine.api.job import PictureFit, VideoSpec
from engine.api.match_report import MatchReport
from engine.api.media import Box
from engine.media.fitting import center_crop, choose_geometry
from engine.preparation.chain_lengths import fewest_computed
from engine.preparation.clip_length import asked_frame_count, frame_rate_of, lengths_by_size

_SUBJECT_NOT_FOUND = "the subject was not found in the picture, so it is cut from the centre"


def resolve_geometry(video: VideoSpec, picture: Pillow.Image, capabilities: Capabilities) -> Geometry:
    """The geometry of the clip that is asked for: compiled, or that of a chain, longer than the longest compiled one.

    Without a size, that of the sizes of this length whose aspect is nearest to the picture's. Raises ``NotCompiled``.
    """
    asked_frames, asked_size = asked_frame_count(video, capabilities), (video.width_px, video.height_px)
    frame_count = asked_frames or capabilities.geometries[0].frame_count
    sizes = lengths_by_size(capabilities)
    lengths = sizes.get(asked_size, [])
    if frame_count in lengths or (asked_frames and _can_chain(frame_count, lengths, capabilities)):
        return Geometry(*asked_size, frame_count)
    able = [size for size, lengths in sizes.items() if frame_count in lengths]
    if not able and frame_count > max(max(lengths) for lengths in sizes.values()):
        able = [size for size, lengths in sizes.items() if _can_chain(frame_count, lengths, capabilities)]
    if not able:
        raise NotCompiled(_wrong_length(video, frame_count, capabilities))
    if not video.width_px:
        return choose_geometry(picture, [Geometry(*size, frame_count) for size in able])
    raise NotCompiled(_wrong_size(video, able, [frame_count]))


def resolve_segment_size(
    video: VideoSpec, frame_counts: Sequence[int], picture: Pillow.Image, capabilities: Capabilities
) -> Geometry:
    """The size of a chain, with the length of its first segment; ``frame_counts`` are those of its segments.

    All of them must be compiled for the size. Raises ``NotCompiled``.
    """
    sizes = lengths_by_size(capabilities)
    compiled = sorted({item.frame_count for item in capabilities.geometries})
    for index, frame_count in enumerate(frame_counts):
        if frame_count not in compiled:
            description = f"is {frame_count}; this server was compiled for {_list(compiled)} frames"
            raise NotCompiled(Violation(Field.SEGMENT_FRAME_COUNT, description, index))
    able = [size for size, lengths in sizes.items() if set(frame_counts) <= set(lengths)]
    if not able:
        each = "; ".join(f"{size[0]}x{size[1]} at {_list(sorted(lengths))}" for size, lengths in sizes.items())
        wanted = _list(sorted(set(frame_counts)))
        description = f"have {wanted} frames, and no size was compiled for all of these; choose from {each}"
        raise NotCompiled(Violation(Field.SEGMENTS, description))
    if not video.width_px:
        return choose_geometry(picture, [Geometry(*size, frame_counts[0]) for size in able])
    if (video.width_px, video.height_px) in able:
        return Geometry(video.width_px, video.height_px, frame_counts[0])
    raise NotCompiled(_wrong_size(video, able, sorted(set(frame_counts))))


def segment_lengths(geometry: Geometry, capabilities: Capabilities) -> tuple[int, ...]:
    """The compiled lengths of the segments of a clip whose geometry ``resolve_geometry`` chose."""
    lengths = lengths_by_size(capabilities)[geometry.width_px, geometry.height_px]
    limit = capabilities.limits.max_segment_count
    chosen = fewest_computed(geometry.frame_count, lengths, capabilities.given_frame_count, limit)
    assert chosen is not None
    return chosen


def _can_chain(frame_count: int, lengths: Sequence[int], capabilities: Capabilities) -> bool:
    """True if segments of these lengths, and only several of them, fill a clip."""
    if not lengths or frame_count <= max(lengths):
        return False
    return frame_count <= capabilities.longest_chain(lengths)


def _wrong_length(video: VideoSpec, frame_count: int, capabilities: Capabilities) -> Violation:
    lengths = sorted({item.frame_count for item in capabilities.geometries})
    compiled = f"this server was compiled for {_list(lengths)} frames"
    if video.seconds is None:
        return Violation(Field.FRAME_COUNT, f"is {frame_count}; {compiled}")
    seconds = _list([f"{length / frame_rate_of(video, capabilities):.4g}" for length in lengths])
    return Violation(
        Field.SECONDS, f"is {video.seconds:g}, that is {frame_count} frames; {compiled}, that is {seconds} s"
    )


def _wrong_size(video: VideoSpec, sizes: Sequence[tuple[int, int]], frame_counts: list[int]) -> Violation:
    names = [f"{width}x{height}" for width, height in sizes]
    return Violation(
        Field.WIDTH,
        f"asks for {video.width_px}x{video.height_px}; this server was compiled for "
        f"{_list(names)} at {_list(frame_counts)} frames",
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
