"""Adds the prompt report and the findings on the picture to a match report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from engine.analysis.picture.findings import picture_findings
from engine.analysis.prompt.report import report_prompt
from engine.api.capabilities import Capabilities, Family
from engine.api.match_report import MatchReport
from engine.api.picture_report import PictureReport
from engine.api.prompt_report import ModelRange
from engine.matching.score import lowered
from engine.preparation.score_request import ClipSettings

# Length of the clips that each family was trained on: frames / frame rate, from the model cards.
_NATIVE_SECONDS = {Family.WAN22_I2V_A14B: 81 / 16, Family.WAN22_TI2V_5B: 121 / 24}


@dataclass(frozen=True, slots=True)
class EnrichmentContext:
    """Facts about a bundle that the prompt rules use.

    ``count_tokens`` counts the tokens of a prompt as the text encoder does; None leaves the length unjudged.
    """

    model: ModelRange
    count_tokens: Callable[[str], int] | None = None

    @classmethod
    def of(cls, capabilities: Capabilities, count_tokens: Callable[[str], int] | None = None) -> EnrichmentContext:
        """The context of a loaded bundle."""
        longest_seconds = max(item.frame_count for item in capabilities.geometries) / capabilities.defaults.frame_rate
        native_seconds = _NATIVE_SECONDS[capabilities.family]
        return cls(ModelRange(capabilities.defaults.guidance_scale, native_seconds, longest_seconds), count_tokens)


def enriched(
    report: MatchReport,
    prompt: str,
    picture_report: PictureReport | None,
    clip: ClipSettings,
    context: EnrichmentContext,
) -> MatchReport:
    """A copy of the match report with the prompt report and ``picture_report``, which gets its findings.

    Findings on the wording lower the probability of success.
    """
    prompt_report = report_prompt(
        prompt,
        guidance_scale=clip.guidance_scale,
        duration_seconds=clip.seconds,
        negative_prompt=clip.negative_prompt,
        token_count=context.count_tokens(prompt) if context.count_tokens is not None else None,
        absent_nouns=[noun.span for noun in report.missing_nouns],
        model=context.model,
    )
    if picture_report is not None:
        findings = picture_findings(picture_report, report.grounding, prompt_report.language, clip.geometry)
        picture_report = replace(picture_report, findings=findings)
    success = None if report.success is None else lowered(report.success, prompt_report.findings)
    return replace(report, success=success, prompt_report=prompt_report, picture_report=picture_report)
