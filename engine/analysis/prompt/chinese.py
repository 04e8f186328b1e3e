"""Finds the use of each verb in a Chinese sentence.

A verb before 的 describes a noun ("奔跑的小狗"), a verb before 地 describes another verb,
a verb with 着 accompanies the next one ("微笑着走来").
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.analysis.prompt.phrases import Use, is_verb
from engine.analysis.prompt.tokens import HAN, Token

_COMPLEMENTS = frozenset({"着", "了", "起来", "过来", "过去", "下来", "下去", "出来", "起"})


def verb_uses(tokens: Sequence[Token]) -> list[Use | None]:
    """The use of each token of one chunk; None for a token that is no verb."""
    uses: list[Use | None] = [None] * len(tokens)
    for index, token in enumerate(tokens):
        if token.script == HAN and (is_verb(token) or _is_unknown_verb(tokens, index)) and not token.is_in("plain"):
            uses[index] = _use(tokens, index)
    if Use.MAIN not in uses:
        _find_by_place(tokens, uses)
    _subordinate(tokens, uses)
    return uses


def _find_by_place(tokens: Sequence[Token], uses: list[Use | None]) -> None:
    """Without a known verb, an unlisted word after an adverb or after a phrase such as "在街道上" is the verb."""
    has_coverb = False
    for index, token in enumerate(tokens):
        has_coverb = has_coverb or token.is_in("coverb")
        before = tokens[index - 1] if index else None
        if before is None or token.lists or token.script != HAN:
            continue
        if before.is_in("adverb") or (has_coverb and before.is_in("localizer") and before.text != "的"):
            uses[index] = Use.MAIN
            return


def _use(tokens: Sequence[Token], index: int) -> Use | None:
    token = tokens[index]
    before = tokens[index - 1] if index else None
    follower = index + 1
    while follower < len(tokens) and tokens[follower].is_in("aspect"):
        follower += 1
    after = tokens[follower] if follower < len(tokens) else None
    if token.is_in("intransitive") and after is not None and after.script == HAN and not after.lists:
        return None
    if before is not None and before.text in {"从", "由"}:
        return None
    if after is not None and after.text == "地":
        return Use.ALONG
    if after is not None and after.text == "的":
        return Use.ATTRIBUTE
    if token.is_noun and before is not None and (before.text == "的" or before.is_in("measure", "adjective", "coverb")):
        return None
    if before is not None and before.is_in("measure") and not before.is_in("pronoun"):
        return Use.ATTRIBUTE if _has(tokens[index:], "的") else None
    if _describes_later_noun(tokens, index):
        return Use.ATTRIBUTE
    return Use.MAIN


def _describes_later_noun(tokens: Sequence[Token], index: int) -> bool:
    """True for a verb before 的 without a subject before it, as in "一个戴帽子的农夫" and "在山顶挥手的人"."""
    rest = tokens[index + 1 :]
    link = next((place for place, token in enumerate(rest) if token.text == "的"), None)
    if link is None or any(token.is_noun and not token.is_in("place") for token in tokens[:index]):
        return False
    opened = any(token.is_in("measure") for token in tokens[:index])
    return opened or any(token.is_in("person", "animal", "bird", "vehicle") for token in rest[link + 1 :])


def _subordinate(tokens: Sequence[Token], uses: list[Use | None]) -> None:
    """A verb with 着, or one that introduces the next, accompanies the main verb after it."""
    for index, token in enumerate(tokens):
        if uses[index] is not Use.MAIN or Use.MAIN not in uses[index + 1 :]:
            continue
        goes_on = "着" in token.text[1:] or (index + 1 < len(tokens) and tokens[index + 1].text == "着")
        if goes_on or (token.is_in("prelude") and uses[index + 1] is Use.MAIN):
            uses[index] = Use.ALONG


def _is_unknown_verb(tokens: Sequence[Token], index: int) -> bool:
    """True for an unlisted character before 着, 了 or 起来, where only a verb can stand."""
    if tokens[index].lists or index + 1 >= len(tokens):
        return False
    return tokens[index + 1].text in _COMPLEMENTS


def _has(tokens: Sequence[Token], text: str) -> bool:
    return any(token.text == text for token in tokens)
