"""Finds the words of a part that are about the camera.

"The camera pans left" is about the camera, "a dog runs towards the camera" is not.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.analysis.prompt.phrases import is_verb
from engine.analysis.prompt.tokens import Token

DIRECTIONS = ("left", "right", "up", "down", "in", "out", "orbit", "follow", "pan", "static")
_MOVE_LISTS = frozenset(f"camera_{direction}" for direction in DIRECTIONS)
_BEFORE_OBJECT = ("preposition", "coverb", "direction", "motion", "posture", "possessive")


def direction_of(token: Token) -> str | None:
    """The direction of a camera term, one of ``DIRECTIONS``; None for any other word."""
    return next((direction for direction in DIRECTIONS if f"camera_{direction}" in token.lists), None)


def camera_end(tokens: Sequence[Token], *, goes_on: bool) -> int:
    """Number of leading tokens of a part that are about the camera; 0 for a part that is not.

    ``goes_on`` tells that the previous part was about the camera, so that a move without a camera word belongs to it.
    """
    if goes_on and tokens[0].is_in("showing"):
        return 1
    names = [index for index, token in enumerate(tokens) if _is_camera(tokens, index)]
    moves = [index for index, token in enumerate(tokens) if not token.lists.isdisjoint(_MOVE_LISTS)]
    if not names and not (goes_on and moves and not any(_is_thing(token) for token in tokens[: moves[0]])):
        return 0
    first = min([*names[:1], *moves[:1]])
    if any(_is_thing(token) or (is_verb(token) and index not in moves) for index, token in enumerate(tokens[:first])):
        return 0
    end = first + 1
    for index in range(first, len(tokens)):
        if index in names or index in moves:
            end = index + 1
        elif _is_thing(tokens[index]) or tokens[index].is_in("showing"):
            break
    trailing = ("adverb", "aspect", "direction", "showing")
    while end < len(tokens) and (tokens[end].is_in(*trailing) or tokens[end].text == "to"):
        end += 1
    return end


def _is_camera(tokens: Sequence[Token], index: int) -> bool:
    token = tokens[index]
    if token.is_in("camera_static") or (not token.lists.isdisjoint(_MOVE_LISTS) and not is_verb(token)):
        return True
    if not token.is_in("camera", "cut"):
        return False
    before = index - 1
    while before >= 0 and tokens[before].is_in("determiner", "measure"):
        before -= 1
    return before < 0 or not tokens[before].is_in(*_BEFORE_OBJECT)


def _is_thing(token: Token) -> bool:
    return token.is_noun and not token.is_in("camera", "sky", "place") and token.lists.isdisjoint(_MOVE_LISTS)
