"""Turns measurements, scores and findings into symptoms and remedies.

Each remedy sums up its evidence, and the remedy with the most comes first. Without symptoms there are no remedies.
docs/diagnosis.md says how thresholds and evidence come about.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from engine.analysis.diagnosis.assumed_evidence import assumed_evidence
from engine.analysis.diagnosis.clip_factors import clip_factors
from engine.analysis.diagnosis.given import DiagnosisInput
from engine.analysis.diagnosis.measured_evidence import Reason, measured_reasons
from engine.analysis.diagnosis.messages import Evidence, remedies_from, symptom_of
from engine.analysis.diagnosis.symptoms import symptom_kinds
from engine.api.diagnosis import ClipMetrics, Diagnosis, SymptomKind
from engine.api.match_report import SuccessBasis
from engine.api.prompt_report import Severity
from engine.bundle.diagnosis_spec import DiagnosisSpec

__all__ = ["DiagnosisInput", "diagnose"]


def diagnose(metrics: ClipMetrics, given: DiagnosisInput, spec: DiagnosisSpec | None = None) -> Diagnosis:
    """The diagnosis of a clip, by the bundle's thresholds or else the default ones."""
    figures = clip_factors(metrics, given.frame_scores, given.first_frame_psnr_db)
    if given.report is not None:
        figures["score"] = given.report.score / 100.0
    kinds = tuple(
        symptom_kinds(
            figures, spec or DiagnosisSpec(), asks_for_motion=given.asks_for_motion, chance=given.chance_after_clip
        )
    )
    values = _values(figures, given)
    symptoms = tuple(symptom_of(kind, given.language, **values) for kind in kinds)
    evidence = list(_evidence(frozenset(kinds), given)) if kinds else []
    return Diagnosis(symptoms, remedies_from(evidence, given.language), metrics)


def _values(figures: Mapping[str, float], given: DiagnosisInput) -> dict[str, str]:
    """Words for the messages of the symptoms; shares in percent."""
    shares = {
        "change": figures["largest_change"],
        "mean_change": figures["mean_change"],
        "drift": figures["subject_drift"],
        "first": figures["first_score"],
        "last": figures["last_score"],
        "dynamic": figures["dynamic_degree"],
        "burnt": figures["burnt_gain"],
        "score": figures.get("score", 1.0),
        "chance": given.chance_after_clip or 0.0,
    }
    return {"psnr": f"{given.first_frame_psnr_db:.0f}"} | {name: _percent(share) for name, share in shares.items()}


def _evidence(kinds: frozenset[SymptomKind], given: DiagnosisInput) -> Iterator[Evidence]:
    success = given.report.success if given.report is not None else None
    if success is None or success.basis is not SuccessBasis.MEASURED:
        yield from assumed_evidence(kinds, given)
        return
    figures = {item.name: item.value for item in success.factors}
    log_odds = {item.name: item.log_odds for item in success.factors}
    for reason in measured_reasons(figures, log_odds, kinds):
        yield Evidence(reason.kind, reason.weight, *_message(reason, figures, given))


def _message(reason: Reason, figures: Mapping[str, float], given: DiagnosisInput) -> tuple[str, dict[str, str]]:
    """Case and words of a reason's message."""
    scales = {"scale": f"{given.guidance_scale:g}", "default": f"{given.default_guidance_scale:g}"}
    report = given.report
    match reason.name:
        case "score":
            return "poor", {"score": _percent(figures["score"])}
        case "subject" | "action" | "environment":
            return reason.name, {"fit": _percent(figures[reason.name])}
        case "missing_nouns" if report is not None:
            return "missing", {"words": ", ".join(dict.fromkeys(noun.text for noun in report.missing_nouns))}
        case "further_actions" if "W08" in given.finding_codes:
            return "crowded", {"count": str(given.action_count), "seconds": f"{given.seconds:.1f}"}
        case "further_actions":
            return "several", {}
        case "wording_warnings" | "wording_errors":
            return "wording", {"finding": _wording(given, reason.name)}
        case "guidance_above":
            return "lower", scales
        case "guidance_below":
            return "raise", scales
        case name:
            return name, scales


def _wording(given: DiagnosisInput, figure: str) -> str:
    """The message of the first finding of the figure's severity."""
    severity = Severity.ERROR if figure == "wording_errors" else Severity.WARNING
    findings = given.prompt_report.findings if given.prompt_report is not None else ()
    return next((item.message for item in findings if item.severity is severity), "")


def _percent(share: float) -> str:
    return f"{100.0 * share:.0f}"
