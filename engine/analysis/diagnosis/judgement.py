"""Turns measurements, scores and findings into symptoms and remedies.

Each remedy sums up its evidence, and the remedy with the most comes first: a poor match weighs three, an obvious cause
about two, a merely usual cause less than one. Without symptoms there are no remedies.

The thresholds of likeness hold for the embedded scorer; docs/diagnosis.md says how they were set.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from engine.analysis.diagnosis.clip_watch import DYNAMIC_FROM
from engine.analysis.diagnosis.messages import Evidence, remedies_from, symptom_of
from engine.api.diagnosis import ClipMetrics, Diagnosis, RemedyKind, Symptom, SymptomKind
from engine.api.match_report import MatchReport
from engine.api.prompt_report import ClauseKind, Language, PromptReport, Severity

_CUT_CHANGE, _CUT_FACTOR = 0.12, 6.0  # mean change of a frame, and over the mean change of all
_FLICKER_BELOW = 0.97
_DRIFT_ABOVE = 0.25
_MATCH_LOSS = 25.0  # points of score
_BURNT_ABOVE = 0.05
_FIRST_FRAME_BELOW_DB = 20.0
_GOOD_SCORE, _DOUBTFUL_SCORE = 70.0, 40.0
_LOW_GUIDANCE = 0.7  # of the model's own


@dataclass(frozen=True, slots=True)
class DiagnosisInput:
    """Facts about a clip besides its measurements.

    ``frame_scores`` are match scores of some frames in order, 0..100.
    """

    report: MatchReport | None
    guidance_scale: float
    default_guidance_scale: float
    seconds: float
    first_frame_psnr_db: float
    frame_scores: tuple[float, ...] = ()

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
    def action_count(self) -> int:
        """The number of stages of action in the prompt."""
        clauses = self.report.clauses if self.report is not None else ()
        return max((item.stage for item in clauses if item.kind is ClauseKind.ACTION), default=0)


def diagnose(metrics: ClipMetrics, given: DiagnosisInput) -> Diagnosis:
    """The diagnosis of a clip."""
    symptoms = tuple(_symptoms(metrics, given))
    kinds = frozenset(item.kind for item in symptoms)
    evidence = list(_evidence(kinds, given)) if kinds else []
    return Diagnosis(symptoms, remedies_from(evidence, given.language), metrics)


def _symptoms(metrics: ClipMetrics, given: DiagnosisInput) -> Iterator[Symptom]:
    language = given.language
    mean_change = 1.0 - metrics.temporal_flicker
    is_dynamic = metrics.dynamic_degree >= DYNAMIC_FROM
    if metrics.largest_change > max(_CUT_CHANGE, _CUT_FACTOR * mean_change):
        yield symptom_of(SymptomKind.SCENE_CUT, language, change=_percent(metrics.largest_change))
    if metrics.likeness is not None and metrics.likeness.subject_drift > _DRIFT_ABOVE:
        yield symptom_of(SymptomKind.SUBJECT_DRIFT, language, drift=_percent(metrics.likeness.subject_drift))
    scores = given.frame_scores
    if scores and scores[0] - scores[-1] > _MATCH_LOSS:
        yield symptom_of(SymptomKind.MATCH_LOSS, language, first=f"{scores[0]:.0f}", last=f"{scores[-1]:.0f}")
    if given.action_count and not is_dynamic:
        yield symptom_of(SymptomKind.FROZEN, language, dynamic=_percent(metrics.dynamic_degree))
    if metrics.temporal_flicker < _FLICKER_BELOW and not is_dynamic:
        yield symptom_of(SymptomKind.FLICKER, language, change=_percent(mean_change))
    if metrics.burnt_gain > _BURNT_ABOVE:
        yield symptom_of(SymptomKind.BURNT_COLOURS, language, burnt=_percent(metrics.burnt_gain))
    if given.first_frame_psnr_db < _FIRST_FRAME_BELOW_DB:
        yield symptom_of(SymptomKind.FIRST_FRAME, language, psnr=f"{given.first_frame_psnr_db:.0f}")
    report = given.report
    if report is not None and report.score < _DOUBTFUL_SCORE:
        yield symptom_of(SymptomKind.POOR_MATCH, language, score=f"{report.score:.0f}")


def _evidence(kinds: frozenset[SymptomKind], given: DiagnosisInput) -> Iterator[Evidence]:
    yield from _for_match(given)
    yield from _for_shortening(kinds, given)
    yield from _for_another_picture(kinds, given)
    yield from _for_guidance(kinds, given)


def _for_match(given: DiagnosisInput) -> Iterator[Evidence]:
    report = given.report
    yield Evidence(RemedyKind.MATCH, 0.5, "usual")
    if report is None:
        return
    if report.missing_nouns:
        words = ", ".join(dict.fromkeys(noun.text for noun in report.missing_nouns))
        yield Evidence(RemedyKind.MATCH, 2.0, "missing", {"words": words})
    if report.score < _GOOD_SCORE:
        weight = 3.0 if report.score < _DOUBTFUL_SCORE else 1.5
        yield Evidence(RemedyKind.MATCH, weight, "poor", {"score": f"{report.score:.0f}"})


def _for_shortening(kinds: frozenset[SymptomKind], given: DiagnosisInput) -> Iterator[Evidence]:
    codes, count = given.finding_codes, given.action_count
    yield Evidence(RemedyKind.SHORTEN, 0.4, "usual")
    if SymptomKind.FROZEN in kinds and codes & {"E05", "W06"}:
        yield Evidence(RemedyKind.SHORTEN, 2.5, "vague")
    if "W08" in codes:
        values = {"count": str(count), "seconds": f"{given.seconds:.1f}"}
        yield Evidence(RemedyKind.SHORTEN, 2.5, "crowded", values)
    elif count > 1:
        yield Evidence(RemedyKind.SHORTEN, 1.0, "several")
    if codes & {"E02", "W10"}:
        yield Evidence(RemedyKind.SHORTEN, 1.0, "long")


def _for_another_picture(kinds: frozenset[SymptomKind], given: DiagnosisInput) -> Iterator[Evidence]:
    yield Evidence(RemedyKind.PICTURE, 0.3, "usual")
    report = given.report
    findings = report.picture_report.findings if report is not None and report.picture_report is not None else ()
    for finding in findings:
        if finding.severity is not Severity.INFO and finding.code != "no_subject":  # that one is about the match
            yield Evidence(RemedyKind.PICTURE, 1.0, "finding", {"finding": finding.message})
    if SymptomKind.FIRST_FRAME in kinds:
        yield Evidence(RemedyKind.PICTURE, 1.0, "first_frame")


def _for_guidance(kinds: frozenset[SymptomKind], given: DiagnosisInput) -> Iterator[Evidence]:
    scale, default = given.guidance_scale, given.default_guidance_scale
    values = {"scale": f"{scale:g}", "default": f"{default:g}"}
    yield Evidence(RemedyKind.GUIDANCE, 0.2, "usual", values)
    is_high = "W19" in given.finding_codes
    if scale > default and (is_high or SymptomKind.BURNT_COLOURS in kinds):
        yield Evidence(RemedyKind.GUIDANCE, 2.5, "lower", values)
    elif scale < _LOW_GUIDANCE * default and kinds & {SymptomKind.FROZEN, SymptomKind.MATCH_LOSS}:
        yield Evidence(RemedyKind.GUIDANCE, 2.0, "raise", values)


def _percent(share: float) -> str:
    return f"{100.0 * share:.0f}"
