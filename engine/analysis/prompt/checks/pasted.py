"""Tells what was pasted along with a sentence: W16, W22, W23, I24. Spans are places in the given text."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace

from engine.analysis.prompt.draft import Draft
from engine.analysis.prompt.findings import Issue
from engine.analysis.prompt.pasted.mark import Mark
from engine.api.prompt_report import ClauseKind, Language, Span

_ENDS = " .。!?！？,，;；"


def check_pasted(draft: Draft) -> Iterator[Issue]:
    """One issue for each mark."""
    for mark in draft.source.marks:
        if mark.code:
            word = _quote(draft, mark.place)
            values = {"word": word, "content": mark.additions[0] if mark.additions else word}
            yield Issue(mark.code, mark.case, mark.place, values, _replacement(draft, mark), mark.additions)


def silent_edits(draft: Draft) -> Iterator[Issue]:
    """Edits for marks without a finding of their own: the rest of a bracket or of a JSON object."""
    for mark in draft.source.marks:
        if mark.place != mark.span and mark.case == "json":
            yield Issue(mark.code, mark.case, mark.span, {}, mark.replacement)
        elif not mark.code:
            yield Issue("", "", mark.span, {}, mark.replacement)


def check_absent_nouns(draft: Draft) -> Iterator[Issue]:
    """W20: nouns that the scorer did not find in the picture."""
    for span in draft.settings.absent_nouns:
        place = draft.source.given.of_prompt(span)
        yield Issue("W20", "absent", place, {"word": _quote(draft, place)})


def _replacement(draft: Draft, mark: Mark) -> str | None:
    """The word of order, such as "then", that replaces a mark between two actions; empty elsewhere."""
    if not mark.divides or mark.replacement != "":
        return None if mark.case == "json" else mark.replacement
    source, text = draft.source, draft.source.given.text
    actions = [source.in_given(clause.span).start for clause in draft.clauses if clause.kind is ClauseKind.ACTION]
    dividers = [other.span.start for other in source.marks if other.divides and other.span.start > mark.span.start]
    before = text[: mark.span.start].rstrip()
    comma = "" if not before or before[-1] in _ENDS else "，" if draft.language is Language.ZH else ", "
    following = bisect_left(actions, mark.span.end)
    if not 0 < following < len(actions) or (dividers and actions[following] > dividers[0]):
        return comma
    if any(token.is_in("sequence") for token in draft.words[_word_after(draft, mark.span.end) :][:1]):
        return comma
    if draft.language is Language.ZH:
        return comma + "然后"
    return "Then " if before[-1:] in ".!?" else comma + "then "


def _word_after(draft: Draft, position: int) -> int:
    """The number of the first word at or after a place in the given text."""
    in_sentence = bisect_left(draft.source.places, position)
    in_words = bisect_left(draft.normalised.starts, in_sentence)
    return bisect_left([token.start for token in draft.words], in_words)


def _quote(draft: Draft, span: Span) -> str:
    return draft.source.given.text[span.start : span.end].strip()


def in_given(draft: Draft, issue: Issue) -> Issue:
    """An issue with its place in the given text instead of the sentence; one on the whole sentence has all of it."""
    if issue.span is None:
        return issue
    whole = Span(0, len(draft.source.given.text))
    return replace(issue, span=whole if issue.span == draft.whole else draft.source.in_given(issue.span))
