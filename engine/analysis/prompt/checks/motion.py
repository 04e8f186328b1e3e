"""Checks whether something moves, how clear the motion is, and whether the clip is long enough for it."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import takewhile

from engine.analysis.prompt.checks.examples import example_for
from engine.analysis.prompt.draft import Draft, has_sequence
from engine.analysis.prompt.findings import Issue
from engine.analysis.prompt.phrases import Part, Use
from engine.analysis.prompt.tokens import HAN, Token
from engine.api.prompt_report import Clause, ClauseKind, Language, Span

_SECONDS_OF_AN_ACTION = 1.5
_FEWEST_SEGMENTS = 3
_SHOWN = frozenset({ClauseKind.SUBJECT, ClauseKind.ACTION, ClauseKind.ENVIRONMENT})
_TOLD = frozenset({ClauseKind.SUBJECT, ClauseKind.ACTION})
_NOT_CONCRETE = frozenset({"place", "sky"})


def check_motion(draft: Draft) -> Iterator[Issue]:
    """E05; ``unsure`` if an unlisted word may be the verb."""
    moves = any(clause.moves for clause in draft.clauses)
    on_purpose = any(token.is_in("still", "vague") for token in draft.words)
    if draft.words and not moves and not on_purpose and not _orders_motion(draft):
        knows_all = all(token.lists or not token.text[0].isalpha() for token in draft.words)
        yield Issue("E05", "still" if knows_all else "unsure", draft.whole, {"example": example_for(draft)})


def check_vague_verbs(draft: Draft) -> Iterator[Issue]:
    """W06: a vague verb without direction, part of the body or object, or nothing but an order to animate."""
    if _orders_motion(draft):
        yield Issue("W06", "vague", draft.whole, {"word": draft.text.strip(), "example": example_for(draft)})
        return
    for part in draft.parts:
        for index, (token, use) in enumerate(zip(part.tokens, part.uses, strict=True)):
            if use is Use.MAIN and token.is_in("vague") and not _is_concrete(part, index):
                span = draft.span([token])
                yield Issue("W06", "vague", span, {"word": draft.quote(span), "example": example_for(draft)})


def check_actions(draft: Draft) -> Iterator[Issue]:
    """I07 and W08."""
    count = max((clause.stage for clause in draft.clauses), default=0)
    seconds = draft.settings.duration_seconds
    if seconds is not None and count > math.ceil(seconds / _SECONDS_OF_AN_ACTION):
        limit = math.ceil(seconds / _SECONDS_OF_AN_ACTION)
        yield Issue("W08", "crowded", _of_stages(draft, 1), {"count": count, "seconds": seconds, "limit": limit})
    if count > 1 and not has_sequence(draft.words) and not _divided(draft):
        yield Issue("I07", "unordered", _of_stages(draft, 2), {"count": count}, _ordered(draft))


def check_static_share(draft: Draft) -> Iterator[Issue]:
    """W10."""
    on_purpose = [draft.span([token]).start for token in draft.words if token.is_in("still")]
    shown = [segment for segment in draft.segments if any(clause.kind in _SHOWN for clause in segment)]
    still = [
        segment
        for segment in shown
        if not any(clause.moves for clause in segment)
        and bisect_left(on_purpose, segment[0].span.start) == bisect_left(on_purpose, segment[-1].span.end)
    ]
    if draft.source.is_json:
        return  # its values are clauses of one sentence
    if len(shown) >= _FEWEST_SEGMENTS and len(shown) > len(still) > len(shown) / 2:
        span = Span(still[0][0].span.start, still[-1][-1].span.end)
        yield Issue("W10", "static", span, {"count": len(still), "total": len(shown)})


def _divided(draft: Draft) -> bool:
    """True if a mark of time or a number of a list stands between two actions."""
    staged = [draft.source.in_given(clause.span).start for clause in draft.clauses if clause.stage]
    return any(mark.divides and staged[0] < mark.span.start < staged[-1] for mark in draft.source.marks)


def _orders_motion(draft: Draft) -> bool:
    """True if the prompt is an order ("bring it to life") that names neither a subject nor an action."""
    opens = bool(draft.words) and draft.words[0].is_in("order")
    return opens and not any(c.kind in _TOLD and (c.nouns or c.moves) for c in draft.clauses)


def _is_concrete(part: Part, verb: int) -> bool:
    before, after = part.tokens[:verb], part.tokens[verb + 1 :]
    if any(token.is_in("direction") and not token.is_in("coverb") for token in (*before, *after)):
        return True
    if part.tokens[verb].script == HAN:
        preverbal = _after_coverb(before)
        return any(_is_thing(token) for token in (*preverbal, *after[:3]))
    objects = takewhile(lambda token: not token.is_in("resting"), after)
    return any(_is_thing(token) for token in objects)


def _after_coverb(tokens: Sequence[Token]) -> Sequence[Token]:
    """The tokens of a preverbal phrase such as "用爪子" or "和小狗"."""
    for index, token in enumerate(tokens):
        if index and token.text in {"用", "把", "和", "与", "跟", "对着"}:
            return tokens[index + 1 :]
    return ()


def _is_thing(token: Token) -> bool:
    return token.is_noun and token.lists.isdisjoint(_NOT_CONCRETE)


def _of_stages(draft: Draft, first: int) -> Span:
    staged = [clause for clause in draft.clauses if clause.stage >= first]
    return Span(staged[0].span.start, staged[-1].span.end)


def _ordered(draft: Draft) -> str | None:
    """The actions from the second one on, with order words inserted; None if another subject takes over."""
    span = _of_stages(draft, 2)
    begun = [clause for clause in draft.clauses if clause.span.end <= span.end]
    begun = begun[next(index for index, clause in enumerate(begun) if clause.stage) :]
    if any(clause.kind is ClauseKind.SUBJECT for clause in begun):
        return None
    inside = [clause for clause in begun if clause.span.start >= span.start]
    inside_last = max(clause.stage for clause in inside)
    text, position, stage = "", span.start, 1
    for clause in inside:
        text += draft.text[position : clause.span.start]
        if clause.stage > stage:
            stage = clause.stage
            text += _order_word(draft, clause, is_last=stage == inside_last)
        text += clause.text
        position = clause.span.end
    return text


def _order_word(draft: Draft, clause: Clause, *, is_last: bool) -> str:
    """The word that introduces the next action; "finally" only after two others."""
    if draft.language is Language.ZH:
        earlier = draft.text[max(clause.span.start - 10, 0) : clause.span.start].rstrip()
        if earlier.endswith(("并", "并且")):
            return "随后"
        comma = "，" if earlier and earlier[-1].isalnum() else ""
        return comma + ("最后" if is_last and clause.stage > 2 else "然后")
    return "finally " if is_last and clause.stage > 2 else "then "
