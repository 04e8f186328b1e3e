"""Chooses the window of a picture that is cut out for a clip. Every window has the aspect of the clip."""

from __future__ import annotations

from collections.abc import Sequence

from engine.api.capabilities import Geometry
from engine.api.match_report import CropProposal, Grounding
from engine.api.media import Box

MARGIN = 0.08  # beside the subject, as a share of its longer side
MAX_SCALE = 1.5  # pixels of a clip for each of the picture

Size = tuple[int, int]  # width and height of a clip in pixels


def sizes_of(geometries: Sequence[Geometry]) -> tuple[Size, ...]:
    """The distinct sizes of compiled geometries, in order."""
    return tuple(dict.fromkeys((item.width_px, item.height_px) for item in geometries))


def center_window(width_px: int, height_px: int, size: Size) -> Box:
    """The largest centred window of a clip's aspect."""
    width = max(min(width_px, round(height_px * size[0] / size[1])), 1)
    height = max(min(height_px, round(width_px * size[1] / size[0])), 1)
    return Box((width_px - width) // 2, (height_px - height) // 2, width, height)


def subject_window(width_px: int, height_px: int, subject: Box, center: tuple[float, float], size: Size) -> Box:
    """The smallest window of a clip's aspect that holds the subject's box and a margin.

    The window is centred on the subject's centre of mass as far as the picture allows. It is at least the clip's size /
    ``MAX_SCALE`` if the picture is large enough, so that nothing is enlarged beyond that. A subject that fits in no
    window of the aspect is cut around ``center``, in pixels.
    """
    aspect = size[0] / size[1]
    largest = min(float(width_px), height_px * aspect)
    margin = MARGIN * max(subject.width_px, subject.height_px)
    # The centre of mass need not be the middle of the box: the window reaches to the farther side.
    reach_x = max(center[0] - subject.left_px, subject.left_px + subject.width_px - center[0]) + margin
    reach_y = max(center[1] - subject.top_px, subject.top_px + subject.height_px - center[1]) + margin
    wanted = max(2 * reach_x, 2 * reach_y * aspect, size[0] / MAX_SCALE)
    width = max(min(round(min(wanted, largest)), width_px), 1)
    height = max(min(round(width / aspect), height_px), 1)
    left = _start(center[0] - width / 2, width, subject.left_px, subject.width_px, width_px)
    top = _start(center[1] - height / 2, height, subject.top_px, subject.height_px, height_px)
    return Box(left, top, width, height)


def _start(wanted: float, length: int, subject_start: int, subject_length: int, whole: int) -> int:
    """Start of a window along one side, inside the picture and around the subject if the subject fits."""
    start = round(wanted)
    if subject_length <= length:
        start = min(max(start, subject_start + subject_length - length), subject_start)
    return min(max(start, 0), whole - length)


def propose_crops(
    width_px: int, height_px: int, grounding: Grounding | None, sizes: Sequence[Size]
) -> tuple[CropProposal, ...]:
    """One proposal for each compiled size; the largest centred window if no subject was found."""
    subject = None if grounding is None else grounding.box
    if grounding is None or subject is None:
        return tuple(proposal_of(center_window(width_px, height_px, size), None, *size) for size in sizes)
    center = (grounding.center_x * width_px, grounding.center_y * height_px)
    return tuple(
        proposal_of(subject_window(width_px, height_px, subject, center, size), subject, *size) for size in sizes
    )


def proposal_of(crop: Box, subject: Box | None, width_px: int, height_px: int) -> CropProposal:
    """The proposal for a window and a size, with the share of the subject that the window holds."""
    width = height = 0
    if subject is not None:
        right = min(crop.left_px + crop.width_px, subject.left_px + subject.width_px)
        bottom = min(crop.top_px + crop.height_px, subject.top_px + subject.height_px)
        width = max(right - max(crop.left_px, subject.left_px), 0)
        height = max(bottom - max(crop.top_px, subject.top_px), 0)
    area = subject.width_px * subject.height_px if subject is not None else 0
    is_inside = width > 0 and height > 0
    return CropProposal(
        width_px=width_px,
        height_px=height_px,
        crop=crop,
        scale=width_px / crop.width_px,
        subject_share=width * height / area if area else 0.0,
        coverage=max(width / crop.width_px, height / crop.height_px) if is_inside else 0.0,
        strict_coverage=width * height / (crop.width_px * crop.height_px),
    )
