"""Input of the diagnosis besides the measurements of the frames."""

from __future__ import annotations

from dataclasses import dataclass

from engine.api.match_report import MatchReport
from engine.api.prompt_report import ClauseKind, Language, PromptReport


@dataclass(frozen=True, slots=True)
class DiagnosisInput:
    """Facts about a clip besides its measurements.

    ``frame_scores`` are match scores of some frames in order, 0..100. ``chance_after_clip`` is the clip's judged
    success, 0..1; None if the bundle has no fit for that.
    """

    report: MatchReport | None
    guidance_scale: float
    default_guidance_scale: float
    seconds: float
    first_frame_psnr_db: float
    frame_scores: tuple[float, ...] = ()
    chance_after_clip: float | None = None

    @property
    def language(self) -> Language:
        """Language of the messages."""
        prompt = self.prompt_report
        return Language.ZH if prompt is not None and prompt.language is Language.ZH else Language.EN

    @property
    def prompt_report(self) -> PromptReport | None:
        """The prompt report, None without one."""
        return self.report.prompt_report if self.report is not None else None

    @property
    def finding_codes(self) -> frozenset[str]:
        """Codes of all findings on the prompt."""
        prompt = self.prompt_report
        return frozenset(item.code for item in prompt.findings) if prompt is not None else frozenset()

    @property
    def asks_for_motion(self) -> bool:
        """True if the prompt asks for a motion of its subject."""
        return self.prompt_report is not None and self.prompt_report.asks_for_motion

    @property
    def action_count(self) -> int:
        """The number of stages of action in the prompt."""
        clauses = self.report.clauses if self.report is not None else ()
        return max((item.stage for item in clauses if item.kind is ClauseKind.ACTION), default=0)
