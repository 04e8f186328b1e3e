"""Probabilities of success and attempts in plain words: what lowers a chance, and what became of each attempt."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from stillcue.attempts import AttemptsEnd
from stillcue.match import SuccessBasis

if TYPE_CHECKING:
    from stillcue.attempts import AttemptResult
    from stillcue.events import Summary
    from stillcue.match import SuccessEstimate, SuccessFactor

_SHOWN_COUNT = 3
_LEAST_LOG_ODDS = -0.1  # less is no reason to change anything
_BASES = {SuccessBasis.ARTICLE_PRIOR: "published figures, not measured here", SuccessBasis.MEASURED: "measured"}

FACTOR_LABELS = {
    # Of the pair and its settings, before a clip is made.
    "score": "picture and sentence match badly",
    "subject": "the picture does not show the subject of the sentence",
    "action": "the picture does not lead to the action, or the sentence names none",
    "asked_motion": "the sentence asks for no motion",
    "environment": "the picture does not show the place of the sentence",
    "missing_nouns": "the sentence names things that the picture does not show",
    "further_actions": "more than one action",
    "wording_warnings": "the wording of the sentence (warnings)",
    "wording_errors": "the wording of the sentence (errors)",
    "coverage_lack": "the subject is small in the picture",
    "coverage_excess": "the subject leaves no room to move in the picture",
    "centre_offset": "the subject is off the middle",
    "clutter": "other things beside the subject in the picture",
    "text_coverage": "lettering in the picture",
    "blockiness": "JPEG blocks in the picture",
    "guidance_above": "a guidance scale above the model's own",
    "guidance_below": "a guidance scale below the model's own",
    "step_lack": "fewer steps than the model's own",
    # Of the finished clip.
    "subject_consistency": "the subject changes",
    "background_consistency": "the background changes",
    "subject_drift": "the subject has changed by the end",
    "new_content": "something new appears",
    "dynamic_degree": "little moves",
    "motion_speed": "fast motion",
    "mean_change": "strong changes from frame to frame",
    "largest_change": "a jump between two frames",
    "burnt_gain": "burnt or black areas grow",
    "edge_gain": "edges grow harder",
    "saturation_gain": "colours grow stronger",
    "first_score": "the first frame does not match the sentence",
    "last_score": "the last frame does not match the sentence",
    "last_odds": "the last frame matches the sentence less than it could",
    "lowest_score": "a frame does not match the sentence",
    "first_frame_noise": "the first frame differs from the picture",
}
_ENDS = {
    AttemptsEnd.DEADLINE: "another attempt would have taken longer than the call may",
    AttemptsEnd.QUOTA: "the requests per minute were used up",
    AttemptsEnd.DRAINING: "the server was shutting down",
}


def describe_basis(estimate: SuccessEstimate) -> str:
    """Returns where a probability comes from."""
    return _BASES.get(estimate.basis, estimate.basis.value)


def lowering_lines(estimate: SuccessEstimate | None) -> list[str]:
    """Returns what lowers a probability most, the worst first, each with the probability without it."""
    if estimate is None:
        return []
    lowering = sorted((item for item in estimate.factors if item.log_odds < _LEAST_LOG_ODDS), key=_log_odds)
    return [f"{_label(item)}: {100 * _without(estimate, item):.0f} % without it" for item in lowering[:_SHOWN_COUNT]]


def describe_attempt(result: AttemptResult) -> str:
    """Returns what became of an attempt, in one line."""
    outcome = "accepted" if result.accepted else "not accepted"
    chance = "" if result.success is None else f", good with {100 * result.success.probability:.0f} %"
    return f"attempt {result.number}, seed {result.seed}{chance}: {outcome}"


def attempt_lines(summary: Summary) -> list[str]:
    """Returns the attempts of a clip in lines, and why none followed; empty if one alone was allowed."""
    lines = [
        describe_attempt(item) + (", delivered" if item.number == summary.delivered_attempt else "")
        for item in summary.attempts
    ]
    return lines + no_further_attempt(summary)


def no_further_attempt(summary: Summary) -> list[str]:
    """Returns why no attempt followed, in one line; none if one was accepted, or as many were made as were allowed."""
    return [f"no further attempt: {_ENDS[summary.attempts_end]}"] if summary.attempts_end in _ENDS else []


def clip_success_lines(summary: Summary) -> list[str]:
    """Returns how likely the finished clip is good, and what lowers that; empty if the server does not judge it."""
    if summary.success is None:
        return []
    chance = f"the clip is good with {100 * summary.success.probability:.0f} % ({describe_basis(summary.success)})"
    return [chance, *(f"  lowers it: {line}" for line in lowering_lines(summary.success))]


def _label(factor: SuccessFactor) -> str:
    return FACTOR_LABELS.get(factor.name, factor.name.replace("_", " "))


def _log_odds(factor: SuccessFactor) -> float:
    return factor.log_odds


def _without(estimate: SuccessEstimate, factor: SuccessFactor) -> float:
    """The probability if the figure had its best value."""
    probability = min(max(estimate.probability, 1e-9), 1.0 - 1e-9)
    return 1.0 / (1.0 + math.exp(factor.log_odds - math.log(probability / (1.0 - probability))))
