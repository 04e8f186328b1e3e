"""Checks whether the prompt names a subject, and whether the subject comes first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.analysis.prompt.draft import Draft
from engine.analysis.prompt.findings import Issue
from engine.analysis.prompt.inflection import with_s
from engine.analysis.prompt.phrases import is_verb
from engine.analysis.prompt.tokens import Token
from engine.analysis.prompt.vocabulary import BASE
from engine.api.prompt_report import Clause, ClauseKind, Span

_PLURALS = frozenset({"people", "men", "women", "children", "them", "mice", "geese"})
_STAGE_SETTING = frozenset({ClauseKind.ENVIRONMENT, ClauseKind.STYLE})
_BEFORE_PRONOUN = ("sequence", "adverb", "together", "conjunction")


def check_subject(draft: Draft) -> Iterator[Issue]:
    """W03: at most one issue."""
    words = draft.words
    if not words:
        return
    if words[0].is_in("order"):
        yield _order(draft, words)
        return
    opener = next((token for token in words if not token.is_in(*_BEFORE_PRONOUN)), words[0])
    acting = next((c for c in draft.clauses if c.kind in {ClauseKind.SUBJECT, ClauseKind.ACTION}), None)
    if acting is None or acting.kind is ClauseKind.SUBJECT:
        return
    inside = [token for token in words if _starts_in(draft, token, acting.span)]
    pronoun = next((token for token in inside[:3] if token.is_in("pronoun")), None)
    if opener.is_in("pronoun") or pronoun is not None:
        word = draft.span([opener if pronoun is None else pronoun])
        yield Issue("W03", "pronoun", word, {"word": draft.quote(word)})
    elif not any(clause.kind is ClauseKind.SUBJECT for clause in draft.clauses):
        yield Issue("W03", "missing", acting.span, {"word": acting.text})


def check_subject_place(draft: Draft) -> Iterator[Issue]:
    """I04: not in JSON, whose keys come in any order."""
    if draft.source.is_json:
        return
    for index, clause in enumerate(draft.clauses):
        if clause.kind is not ClauseKind.SUBJECT:
            continue
        earlier = [
            c for c in draft.clauses[:index] if c.kind in _STAGE_SETTING and not c.moves and not _is_rank(draft, c)
        ]
        acts = any(later.kind is ClauseKind.ACTION for later in draft.clauses[index:])
        if acts and earlier and draft.separated(earlier[-1].span, clause.span):
            yield Issue("I04", "late", clause.span, {"word": clause.text, "before": earlier[0].text})
        return


def _is_rank(draft: Draft, clause: Clause) -> bool:
    """True for a clause of quality tags alone, which set no stage."""
    return all(token.is_in("quality") for token in draft.words if _starts_in(draft, token, clause.span))


def _order(draft: Draft, words: Sequence[Token]) -> Issue:
    end = 1
    while end < len(words) and (words[end].is_in("order", "ask", "depicted") or words[end].text == "of"):
        end += 1
    opening = draft.span(words[:end])
    span, replacement = opening, None if end == len(words) or words[end].is_in("pronoun") else ""
    verb = next((index for index in range(end, min(end + 8, len(words))) if is_verb(words[index])), None)
    if replacement == "" and verb is not None and words[0].script == "latin" and BASE in words[verb].forms:
        named = words[end:verb]
        if named and not any(token.text in _PLURALS for token in named) and not named[-1].text.endswith("s"):
            # "Make the cat jump" becomes "The cat jumps".
            span = Span(opening.start, draft.span([words[verb]]).end)
            kept = draft.quote(Span(draft.span([named[0]]).start, draft.span([words[verb]]).start))
            verb_text, blank, rest = draft.quote(draft.span([words[verb]])).partition(" ")
            replacement = kept + with_s(verb_text) + blank + rest
    return Issue("W03", "order", span, {"word": draft.quote(opening)}, replacement)


def _starts_in(draft: Draft, token: Token, span: Span) -> bool:
    return span.start <= draft.normalised.starts[token.start] < span.end
