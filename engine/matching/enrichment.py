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
from engine.bundle.scorer_spec import SuccessSpec
from engine.matching.success import pair_success
from engine.matching.success_factors import pair_factors
from engine.preparation.score_request import ClipSettings

# Length of the clips that each family was trained on: frames / frame rate, from the model cards.
_NATIVE_SECONDS = {Family.WAN22_I2V_A14B: 81 / 16, Family.WAN22_TI2V_5B: 121 / 24}


@dataclass(frozen=True, slots=True)
class EnrichmentContext:
    """Facts about a bundle that the prompt rules use.

    ``count_tokens`` counts the tokens of a prompt as the text encoder does; None leaves the length unjudged.
    ``success`` is the bundle's fit of the probability of success, None without one.
    """

    model: ModelRange
    default_step_count: int = 40
    count_tokens: Callable[[str], int] | None = None
    success: SuccessSpec | None = None

    @classmethod
    def of(
        cls,
        capabilities: Capabilities,
        count_tokens: Callable[[str], int] | None = None,
        success: SuccessSpec | None = None,
    ) -> EnrichmentContext:
        """The context of a loaded bundle."""
        longest_seconds = max(item.frame_count for item in capabilities.geometries) / capabilities.defaults.frame_rate
        native_seconds = _NATIVE_SECONDS[capabilities.family]
        defaults = capabilities.defaults
        model = ModelRange(defaults.guidance_scale, native_seconds, longest_seconds)
        return cls(model, defaults.step_count, count_tokens, success)


def enriched(
    report: MatchReport,
    prompt: str,
    picture_report: PictureReport | None,
    clip: ClipSettings,
    context: EnrichmentContext,
) -> MatchReport:
    """A copy of the match report with prompt report, ``picture_report`` with its findings, and chance of success."""
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
    report = replace(report, prompt_report=prompt_report, picture_report=picture_report)
    default_scale = context.model.default_guidance_scale or clip.guidance_scale
    figures = pair_factors(report, clip, default_scale, context.default_step_count)
    return replace(report, success=pair_success(figures, context.success))
