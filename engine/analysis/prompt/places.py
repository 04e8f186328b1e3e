"""Finds the words of a phrase that are about a place."""

from __future__ import annotations

from collections.abc import Sequence

from engine.analysis.prompt.tokens import HAN, Token

_WITHIN = ("preposition", "determiner", "adjective", "sky")
_BEING_THERE = frozenset({"在", "于"})
_PLACE_ADVERBS = frozenset({"indoors", "outdoors", "underwater"})  # need no preposition
_OF = "的"  # belongs to a place right after it only: "房间里的 | 白色的猫"


def leading_place(tokens: Sequence[Token]) -> int:
    """Number of leading tokens that are a place with something else named after them: "房间里 | 一只白猫"."""
    end = _place_phrase(tokens, 0)
    named = any(token.is_noun and not token.is_in("place") for token in tokens[end:])
    return end if named else 0


def resting_place(tokens: Sequence[Token]) -> int:
    """Number of leading tokens that are a place, as in "在草地上" or "on the beach"; 0 without one."""
    if not tokens:
        return 0
    opens = tokens[0].text in _BEING_THERE if tokens[0].script == HAN else tokens[0].is_in("resting")
    return _place_phrase(tokens, 0) if opens else 0


def trailing_place(tokens: Sequence[Token], *, with_sky: bool = False) -> int:
    """Index of the closing place, as in "a cat | in the room"; the number of tokens without one.

    ``with_sky`` counts light and weather as places, as in "a boat | in the rain".
    """
    places = ("place", "sky") if with_sky else ("place",)
    for index in range(len(tokens)):
        if tokens[index].is_in("resting") or tokens[index].text in _BEING_THERE | _PLACE_ADVERBS:
            end = _place_phrase(tokens, index, places)
            if end == len(tokens) and index:
                return index
    return len(tokens)


def _place_phrase(tokens: Sequence[Token], start: int, places: Sequence[str] = ("place",)) -> int:
    """End of a place phrase that starts here; 0 without one."""
    end = 0
    for index in range(start, len(tokens)):
        token = tokens[index]
        if not end and index > start and token.text in _PLACE_ADVERBS:
            return 0  # "in red indoors"
        if token.is_in(*places) or (end and token.is_in("localizer") and (token.text != _OF or end == index)):
            end = index + 1
        elif end and token.is_in("measure"):
            break  # counts what is there: "海面上 | 一艘红色的船"
        elif not end and index > start and token.script != HAN and token.is_in("resting"):
            return 0  # "in purple on the lake"
        elif (token.is_noun and not token.is_in("sky")) or (end and token.script != HAN and not token.is_in(*_WITHIN)):
            break
    if end and start == 0 and tokens[0].script != HAN and not tokens[0].is_in("resting"):
        return 0
    return end
