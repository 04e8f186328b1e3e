"""Renders a match report as pictures: the heat map, and the proposed crop."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image as Pillow

from engine.api.capabilities import Capabilities, Geometry
from engine.api.job import ClipPlan
from engine.api.match_report import MatchReport
from engine.api.media import FrameEncoding, Image
from engine.media.encode import encode_frame
from engine.media.fitting import center_crop, choose_geometry, fit_picture
from engine.media.picture import decode_picture

_LONGEST_SIDE_PX = 512


def render_heat_map(report: MatchReport) -> bytes:
    """The heat map as a grey PNG with the picture's aspect, longest side 512 px; empty without a heat map."""
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
    """The picture as PNG, cut and resized as ``CROP_SUBJECT`` would for the size in ``plan``; centred if no crop fits.

    ``image`` and ``plan`` must be those that the report was made from: they are not checked again.
    """
    picture = decode_picture(image, capabilities.limits).upright
    width, height = plan.video.width_px, plan.video.height_px
    nearest = choose_geometry(picture, capabilities.geometries)
    geometry = Geometry(width, height, 1) if width else nearest
    size = (geometry.width_px, geometry.height_px)
    center = center_crop(picture, geometry)
    crop = next((item.crop for item in report.crops if (item.width_px, item.height_px) == size), center)
    return bytes(encode_frame(fit_picture(picture, crop, geometry), FrameEncoding.PNG))
