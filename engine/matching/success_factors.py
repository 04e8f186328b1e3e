"""Figures of a pair and its settings that the probability of success depends on, before a clip is made.

Each figure has the same meaning for every model, so that a fit needs the figures and the outcomes only. ``FAULTLESS``
holds the figures of a pair without a fault.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from engine.analysis.prompt.findings import is_about_wording
from engine.api.match_report import MatchReport
from engine.api.prompt_report import ClauseKind, Finding, Severity
from engine.preparation.score_request import ClipSettings

FAULTLESS: Mapping[str, float] = {
    "score": 1.0,
    "subject": 1.0,
    "action": 1.0,
    "asked_motion": 1.0,
    "environment": 1.0,
    "missing_nouns": 0.0,
    "further_actions": 0.0,
    "wording_warnings": 0.0,
    "wording_errors": 0.0,
    "coverage_lack": 0.0,
    "coverage_excess": 0.0,
    "centre_offset": 0.0,
    "clutter": 0.0,
    "text_coverage": 0.0,
    "blockiness": 0.0,
    "guidance_above": 0.0,
    "guidance_below": 0.0,
    "step_lack": 0.0,
}
_WANTED_COVERAGE = 0.6


def pair_factors(
    report: MatchReport, clip: ClipSettings, default_guidance_scale: float, default_step_count: int
) -> dict[str, float]:
    """The figures of a scored pair, by name, in the order of ``FAULTLESS``.

    ``score``: the match score / 100. ``subject``, ``environment``: the highest probability of a clause of that kind; a
    missing subject counts 0, a missing environment 1. ``action``: the lowest probability of an action, 0 without one.
    ``asked_motion``: 1 if the sentence asks for a motion of its subject, else 0. ``missing_nouns``: their number.
    ``further_actions``: stages of action after the first. ``wording_warnings`` and ``wording_errors``: kinds of
    findings on the sentence. ``coverage_lack``, ``coverage_excess``: what the main thing's coverage lacks to 0.6, and
    what it has above 0.6; ``centre_offset``, ``clutter``: as in ``Placing``. Where the subject was not found the main
    thing is another one: a sentence that names something else is no small subject. ``text_coverage``: as reported.
    ``blockiness``: the logarithm of the reported one, at least 0. ``guidance_above``, ``guidance_below``: the logarithm
    of the scale over the default one, and of the default one over the scale, at least 0. ``step_lack``: the logarithm
    of the default number of steps over the asked one, at least 0.
    """
    picture, place = report.picture_report, report.placing
    ratio = math.log(clip.guidance_scale / default_guidance_scale) if clip.guidance_scale > 0 else 0.0
    findings = report.prompt_report.findings if report.prompt_report is not None else ()
    actions = list(_probabilities(report, ClauseKind.ACTION))
    stages = max((item.stage for item in report.clauses if item.kind is ClauseKind.ACTION), default=0)
    return {
        "score": report.score / 100.0,
        "subject": max(_probabilities(report, ClauseKind.SUBJECT), default=0.0),
        "action": min(actions, default=0.0),
        "asked_motion": float(report.prompt_report is None or report.prompt_report.asks_for_motion),
        "environment": max(_probabilities(report, ClauseKind.ENVIRONMENT), default=1.0),
        "missing_nouns": float(len(report.missing_nouns)),
        "further_actions": float(max(stages - 1, 0)),
        "wording_warnings": _kinds(findings, Severity.WARNING),
        "wording_errors": _kinds(findings, Severity.ERROR),
        "coverage_lack": max(_WANTED_COVERAGE - place.coverage, 0.0) if place is not None else 0.0,
        "coverage_excess": max(place.coverage - _WANTED_COVERAGE, 0.0) if place is not None else 0.0,
        "centre_offset": place.center_offset if place is not None else 0.0,
        "clutter": place.clutter if place is not None else 0.0,
        "text_coverage": picture.text_coverage if picture is not None else 0.0,
        "blockiness": math.log(max(picture.blockiness, 1.0)) if picture is not None else 0.0,
        "guidance_above": max(ratio, 0.0),
        "guidance_below": max(-ratio, 0.0) + 0.0,  # not -0.0
        "step_lack": max(math.log(default_step_count / clip.step_count), 0.0),
    }


def _probabilities(report: MatchReport, kind: ClauseKind) -> Iterator[float]:
    for clause in report.clauses:
        if clause.kind is kind and clause.probability is not None:
            yield clause.probability


def _kinds(findings: tuple[Finding, ...], severity: Severity) -> float:
    """The number of different kinds of findings on the wording of this severity."""
    found = {(item.code, item.case) for item in findings if item.severity is severity and is_about_wording(item.code)}
    return float(len(found))
