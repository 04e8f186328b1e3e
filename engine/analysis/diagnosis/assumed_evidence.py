"""Evidence for remedies by judgement: for bundles whose chance of success was not fitted on outcomes.

A poor match weighs three, an obvious cause about two, a merely usual cause less than one.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.analysis.diagnosis.given import DiagnosisInput
from engine.analysis.diagnosis.messages import Evidence
from engine.api.diagnosis import RemedyKind, SymptomKind
from engine.api.prompt_report import Severity

_GOOD_SCORE, _DOUBTFUL_SCORE = 70.0, 40.0
_LOW_GUIDANCE = 0.7  # of the model's own


def assumed_evidence(kinds: frozenset[SymptomKind], given: DiagnosisInput) -> Iterator[Evidence]:
    """Evidence for the remedies of a clip with these symptoms."""
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
