"""Renders the heat map of a match report as a picture."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image as Pillow

from engine.api.match_report import MatchReport

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
