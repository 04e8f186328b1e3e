"""Decides whether a rewritten prompt is better than the original: a rewriting that is not is never suggested."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from engine.analysis.prompt.draft import Draft
from engine.analysis.prompt.findings import Issue, finding_table, is_about_wording
from engine.api.prompt_report import ClauseKind, Severity

_WEIGHTS = {Severity.ERROR: 4, Severity.WARNING: 2, Severity.INFO: 1}
_PAIRS = {")": "(", "]": "[", "}": "{", "）": "（", "】": "【", "」": "「", "』": "『", "》": "《", "”": "“"}
_DOUBLED = re.compile(r"[,，;；:：、.。!?！？] ?[,，;；:：、.。!?！？]|  ")
_FRAGMENT = re.compile(r"[.!?] [a-z]")  # a sentence that begins small
_STOPS = frozenset(".。!?！？…")
_CLOSERS = "\"'”’」』)）】"


def is_better(before: Draft, issues: Sequence[Issue], after: Draft, remaining: Sequence[Issue]) -> bool:
    """True if the rewriting has fewer or lighter findings, none of its own, and is a whole sentence on the subject."""
    return (
        after.language is before.language
        and not _kinds(remaining) - _kinds(issues)
        and weight(remaining) < weight(issues)
        and is_well_formed(after.source.prompt)
        and len(_FRAGMENT.findall(after.source.prompt)) <= len(_FRAGMENT.findall(before.source.given.text))
        and _keeps_subject(before, after)
    )


def weight(issues: Sequence[Issue]) -> int:
    """The sum of the severities of what is wrong with the wording."""
    table = finding_table()
    total = 0
    for issue in issues:
        if is_about_wording(issue.code):
            total += _WEIGHTS[table[issue.code].cases[issue.case].severity]
    return total


def is_well_formed(text: str) -> bool:
    """True for a text with balanced brackets and quotes, one stop at its end, and nothing doubled."""
    end = text.rstrip(_CLOSERS)
    return (
        bool(text) and text == text.strip() and end[-1:] in _STOPS and not _DOUBLED.search(text) and is_balanced(text)
    )


def is_balanced(text: str) -> bool:
    """True if every bracket and every double quote has its partner."""
    open_ones: list[str] = []
    for character in text:
        if character in _PAIRS.values():
            open_ones.append(character)
        elif character in _PAIRS and (not open_ones or open_ones.pop() != _PAIRS[character]):
            return False
    return not open_ones and text.count('"') % 2 == 0


def _kinds(issues: Sequence[Issue]) -> Counter[tuple[str, str]]:
    return Counter((issue.code, issue.case) for issue in issues)


def _keeps_subject(before: Draft, after: Draft) -> bool:
    """True if what the first subject names is named by a subject of the rewriting."""
    subjects = [clause for clause in before.clauses if clause.kind is ClauseKind.SUBJECT]
    kept = [clause for clause in after.clauses if clause.kind is ClauseKind.SUBJECT]
    if not subjects:
        return True
    nouns = {noun.text.casefold() for noun in subjects[0].nouns}
    if nouns:
        return nouns <= {noun.text.casefold() for clause in kept for noun in clause.nouns}
    return any(word in clause.text.casefold() for clause in kept for word in subjects[0].text.casefold().split())
