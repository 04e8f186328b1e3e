"""Checks the number of camera moves, and whether they contradict each other."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import pairwise

from engine.analysis.prompt.camera import direction_of
from engine.analysis.prompt.draft import Draft
from engine.analysis.prompt.findings import Issue
from engine.analysis.prompt.tokens import Token
from engine.api.prompt_report import ClauseKind, Span

_MOST_MOVES = 2
_CONTRARY = {"left": "right", "right": "left", "up": "down", "down": "up", "in": "out", "out": "in"}


def check_camera_moves(draft: Draft) -> Iterator[Issue]:
    """W14: at most one issue."""
    moves = list(_moves(draft))
    moving = [(direction, token) for direction, token in moves if direction != "static"]
    if len(moving) > _MOST_MOVES:
        span = Span(draft.span([moving[0][1]]).start, draft.span([moving[-1][1]]).end)
        yield Issue("W14", "many", span, {"count": len(moving)})
        return
    sequence = [token.start for token in draft.words if token.is_in("sequence")]
    for (first, before), (second, after) in pairwise(moves):
        ordered = bisect_left(sequence, before.end) < bisect_left(sequence, after.start)
        contrary = _CONTRARY.get(first) == second or ("static" in {first, second} and first != second)
        if contrary and not ordered:
            span = Span(draft.span([before]).start, draft.span([after]).end)
            values = {"first": draft.quote(draft.span([before])), "second": draft.quote(draft.span([after]))}
            yield Issue("W14", "contrary", span, values)
            return


def _moves(draft: Draft) -> Iterator[tuple[str, Token]]:
    """Camera moves in order; a move repeated in one clause counts once."""
    clauses = iter([clause for clause in draft.clauses if clause.kind is ClauseKind.CAMERA])
    clause = next(clauses, None)
    seen: set[str] = set()
    before = ""
    for token in draft.words:
        start = draft.normalised.starts[token.start]
        while clause is not None and start >= clause.span.end:
            clause, seen = next(clauses, None), set()
        direction = direction_of(token)
        inside = clause is not None and start >= clause.span.start
        if inside and direction is not None and direction not in seen and before != "to":  # "tilts up to follow"
            seen.add(direction)
            yield direction, token
        before = token.text
