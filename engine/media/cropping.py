"""Which window of a picture is cut out for a clip: of the clip's aspect, so that nothing is stretched.

Pure arithmetic on boxes; knows no pixels and no model.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.types import Box, CropProposal, Geometry

Size = tuple[int, int]  # width and height of a clip in pixels


def sizes_of(geometries: Sequence[Geometry]) -> tuple[Size, ...]:
    """Compiled sizes, each once, in their order."""
    return tuple(dict.fromkeys((item.width_px, item.height_px) for item in geometries))


def center_window(width_px: int, height_px: int, size: Size) -> Box:
    """The largest centred window of a picture that has a clip's aspect."""
    width = max(min(width_px, round(height_px * size[0] / size[1])), 1)
    height = max(min(height_px, round(width_px * size[1] / size[0])), 1)
    return Box((width_px - width) // 2, (height_px - height) // 2, width, height)


def proposal_of(crop: Box, subject: Box | None, width_px: int, height_px: int) -> CropProposal:
    """A window for a clip of this size, with what it holds of the subject."""
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
