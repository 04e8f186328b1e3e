"""What a match report can show as pictures: where the subject is, and the part that is proposed. Knows Pillow only."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image as Pillow

from engine.media.encode import encode_frame
from engine.media.picture import choose_geometry, decode_picture, fit_picture
from engine.types import Capabilities, ClipPlan, FrameEncoding, Geometry, Image, MatchReport

_LONGEST_SIDE_PX = 512


def render_heat_map(report: MatchReport) -> bytes:
    """The heat map as a grey PNG of the picture's aspect, longest side 512 px; empty where there is none."""
    if report.grounding is None or not report.grounding.heat_map or report.picture_report is None:
        return b""
    width, height = report.picture_report.width_px, report.picture_report.height_px
    scale = _LONGEST_SIDE_PX / max(width, height)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    heat = np.clip(np.array(report.grounding.heat_map, np.float64), 0.0, 1.0)
    grey = Pillow.fromarray(np.round(255.0 * heat).astype(np.uint8)).resize(size, Pillow.Resampling.BICUBIC)
    buffer = io.BytesIO()
    grey.save(buffer, "PNG")
    return buffer.getvalue()


def render_crop(image: Image, report: MatchReport, plan: ClipPlan, capabilities: Capabilities) -> bytes:
    """The picture cut and resized as the report proposes for the plan's size, as PNG; empty without a proposal.

    The image and plan are those that the report was made from, so that nothing in them can be refused any more.
    """
    picture = decode_picture(image, capabilities.limits)
    width, height = plan.video.width_px, plan.video.height_px
    if not width:
        nearest = choose_geometry(picture, capabilities.geometries)
        width, height = nearest.width_px, nearest.height_px
    for crop in report.crops:
        if (crop.width_px, crop.height_px) == (width, height):
            cut = fit_picture(picture, crop.crop, Geometry(width, height, 1))
            return bytes(encode_frame(cut, FrameEncoding.PNG))
    return b""
