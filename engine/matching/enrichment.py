"""A match report with what to change added: the prompt report and findings on the picture.

Knows what the rules need to be told of the bundle; knows no rule and no graph.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from engine.analysis.picture.findings import picture_findings
from engine.analysis.prompt import ModelRange, report_prompt
from engine.api.media import PictureReport
from engine.api.types import Capabilities, Family, Geometry, MatchReport, Settings
from engine.matching.score_request import PlannedClip

# Frames and frames a second of the clips that the families were trained on (their model cards).
_NATIVE_SECONDS = {Family.WAN22_I2V_A14B: 81 / 16, Family.WAN22_TI2V_5B: 121 / 24}


class Adviser:
    """Advises on pairs for one bundle. ``token_count`` counts a prompt's tokens as the text encoder does."""

    def __init__(self, capabilities: Capabilities, token_count: Callable[[str], int] | None = None) -> None:
        self._token_count = token_count
        longest = max(item.frame_count for item in capabilities.geometries) / capabilities.defaults.frame_rate
        self._model = ModelRange(capabilities.defaults.guidance_scale, _NATIVE_SECONDS[capabilities.family], longest)

    def advise(
        self, report: MatchReport, prompt: str, picture_report: PictureReport | None, clip: PlannedClip
    ) -> MatchReport:
        """The report with advice; ``picture_report`` None leaves the picture out."""
        prompt_report = report_prompt(
            prompt,
            guidance_scale=clip.guidance_scale,
            duration_seconds=clip.seconds,
            negative_prompt=clip.negative_prompt,
            token_count=self._token_count(prompt) if self._token_count is not None else None,
            absent_nouns=[noun.span for noun in report.missing_nouns],
            model=self._model,
        )
        if picture_report is not None:
            findings = picture_findings(picture_report, report.grounding, prompt_report.language, clip.geometry)
            picture_report = replace(picture_report, findings=findings)
        return replace(report, prompt_report=prompt_report, picture_report=picture_report)


def clip_of(settings: Settings) -> PlannedClip:
    """A job's settings as far as the rules judge them."""
    geometry = Geometry(settings.width_px, settings.height_px, settings.frame_count)
    return PlannedClip(geometry, settings.frame_rate, settings.guidance_scale, settings.negative_prompt)
