"""Finds the gaps of a sentence that cap its score: no subject to look for, or no action to judge.

The gaps follow from findings, so that the report tells each of them.
"""

from __future__ import annotations

import enum

from engine.analysis.prompt.draft import Draft
from engine.analysis.prompt.findings import Issue
from engine.api.prompt_report import Clause, ClauseKind, Language


class Gap(enum.Enum):
    """SUBJECT: the sentence names none. MOTION: it tells none, or only vague ones."""

    SUBJECT = "subject"
    MOTION = "motion"


def gaps_of(draft: Draft, issues: list[Issue]) -> frozenset[Gap]:
    """The gaps of a sentence from its issues; none for a sentence in a language without rules.

    SUBJECT: E01 ``empty``, or W03 on a sentence without a subject. MOTION: E05 ``still``, or W06 on every action.
    """
    if draft.language is Language.OTHER:
        return frozenset()
    kinds = {(issue.code, issue.case) for issue in issues}
    found = set()
    subjects = [clause for clause in draft.clauses if clause.kind is ClauseKind.SUBJECT]
    if ("E01", "empty") in kinds or (any(code == "W03" for code, _ in kinds) and not subjects):
        found.add(Gap.SUBJECT)
    if ("E05", "still") in kinds or _is_vague(draft, issues):
        found.add(Gap.MOTION)
    return frozenset(found)


def _is_vague(draft: Draft, issues: list[Issue]) -> bool:
    """True if every action, and there is one, has a vague verb."""
    starts = [issue.span.start for issue in issues if issue.code == "W06" and issue.span is not None]
    actions = [clause for clause in draft.clauses if clause.kind is ClauseKind.ACTION and clause.moves]
    return bool(starts) and all(any(_holds(draft, clause, start) for start in starts) for clause in actions)


def _holds(draft: Draft, clause: Clause, start: int) -> bool:
    span = draft.source.in_given(clause.span)
    return span.start <= start < span.end
