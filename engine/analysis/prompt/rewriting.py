"""Applies the replacements of issues to a prompt and repairs the punctuation around them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from engine.analysis.prompt.findings import Issue
from engine.api.prompt_report import Language

_RUNS = re.compile(r"\s*([,，;；、])(?:\s*[,，;；、])+")
_BEFORE_END = re.compile(r"\s*[,，;；、]+\s*(?=[.。!！?？]|$)")
_OPENING = re.compile(r"^[\s,，;；、.。:：]+")
_EMPTY_BRACKETS = re.compile(r"\(\s*\)|（\s*）|\[\s*\]")
_BLANKS = re.compile(r"[ \t]{2,}")
_BLANK_BEFORE = re.compile(r" +(?=[,.;:!?，。；：！？])")


def rewrite(text: str, issues: Sequence[Issue], language: Language) -> str:
    """The text with every replacement made; of two overlapping ones, the longer.

    Removes leftover punctuation, and capitalises an English text if the original began with a capital.
    """
    chosen: list[tuple[int, int, str]] = []
    replacing = [issue for issue in issues if issue.span is not None and issue.replacement is not None]
    for issue in sorted(replacing, key=_extent, reverse=True):
        assert issue.span is not None
        assert issue.replacement is not None
        start, end = issue.span.start, issue.span.end
        if all(end <= other_start or start >= other_end for other_start, other_end, _ in chosen):
            chosen.append((start, end, issue.replacement))
    result = text
    for start, end, replacement in sorted(chosen, reverse=True):
        result = result[:start] + replacement + result[end:]
    return _tidy(result, was_capital=text.lstrip()[:1].isupper(), language=language)


def _extent(issue: Issue) -> int:
    return issue.span.end - issue.span.start if issue.span is not None else 0


def _tidy(text: str, *, was_capital: bool, language: Language) -> str:
    text = _EMPTY_BRACKETS.sub("", text)
    text = _RUNS.sub(r"\1", text)
    text = _BEFORE_END.sub("", text)
    text = _BLANK_BEFORE.sub("", _BLANKS.sub(" ", _OPENING.sub("", text))).strip()
    if language is Language.EN and was_capital:
        text = text[:1].upper() + text[1:]
    return text
