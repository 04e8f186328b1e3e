"""Finds the negations of a part of a sentence: "no people", "without text", "不要人物".

"Without stopping" is a manner, and 不 inside a word such as 不锈钢 negates nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.analysis.prompt.phrases import is_verb
from engine.analysis.prompt.tokens import HAN, LATIN, Token
from engine.analysis.prompt.vocabulary import ING

SHOWING_VERBS = frozenset(
    {
        "show",
        "have",
        "出现",
        "有",
        "让",
        "add",
        "include",
        "显示",
        "any",
        "look",
        "showing",
        "having",
        "adding",
        "including",
    }
)
_EXCLUDING = frozenset(
    {
        "no",
        "without",
        "avoid",
        "avoiding",
        "exclude",
        "不要",
        "没有",
        "避免",
        "禁止",
        "无",
        "请勿",
        "切勿",
        "不出现",
        "不含",
        "不带",
    }
)


def negation_places(tokens: Sequence[Token]) -> list[int]:
    """The indices of the words that negate what follows them."""
    return [
        index
        for index, token in enumerate(tokens)
        if token.is_in("negation")
        and not token.is_in("still")
        and not _is_set_phrase(tokens, index)
        and not is_manner(tokens, index)
        and not (token.text == "no" and index + 1 < len(tokens) and tokens[index + 1].text.isdigit())  # "no. 2"
    ]


def excluded_from(tokens: Sequence[Token], first_verb: int) -> int:
    """The index from which a part only names what must not be there; the number of tokens if it does not."""
    places = (index for index in negation_places(tokens) if index > first_verb and tokens[index].text in _EXCLUDING)
    return next(places, len(tokens))


def is_manner(tokens: Sequence[Token], index: int) -> bool:
    """True for "without stopping": a negated participle says how something happens."""
    after = tokens[index + 1] if index + 1 < len(tokens) else None
    if after is None or tokens[index].text != "without" or after.script != LATIN or after.text in SHOWING_VERBS:
        return False
    return after.forms == {ING} or (not after.lists and after.text.endswith("ing"))


def _is_set_phrase(tokens: Sequence[Token], index: int) -> bool:
    """True for 不 that negates nothing: inside an unlisted word (不锈钢), or between verb and complement (看不清)."""
    token = tokens[index]
    if token.script != HAN or len(token.text) > 1:
        return False
    after = tokens[index + 1] if index + 1 < len(tokens) else None
    if after is None or not after.lists:
        return True
    return index > 0 and is_verb(tokens[index - 1]) and after.is_in("aspect")
