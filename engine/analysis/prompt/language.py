"""Detects the language of a sentence, from its scripts and the words that the lists know."""

from __future__ import annotations

from collections.abc import Iterable

from engine.analysis.prompt.tokens import FOREIGN, HAN, LATIN, Token
from engine.api.prompt_report import Language

_HAN_PER_WORD = 1.5  # Chinese characters that say about as much as one English word
_KNOWN_SHARE = 0.3  # of Latin words that the lists must know for the sentence to count as English
_FEWEST_WORDS = 4  # below this a share says nothing


def language_of(tokens: Iterable[Token]) -> Language:
    """The language of most words; OTHER if the rules know neither script nor words."""
    han = latin = known = foreign = 0
    for token in tokens:
        if token.script == HAN:
            han += token.end - token.start
        elif token.script == LATIN:
            words = token.text.count(" ") + 1
            latin += words
            known += words if token.lists else 0
        elif token.script == FOREIGN:
            foreign += 1
    if foreign > max(latin, han / _HAN_PER_WORD) or (foreign and foreign * 2 >= han > 0):
        return Language.OTHER
    if han / _HAN_PER_WORD >= latin and han:
        return Language.ZH
    if latin >= _FEWEST_WORDS and known < _KNOWN_SHARE * latin:
        return Language.OTHER
    return Language.EN


def length_in_units(tokens: Iterable[Token]) -> tuple[int, int]:
    """Number of Chinese characters plus words of other scripts."""
    han = words = 0
    for token in tokens:
        if token.script == HAN:
            han += token.end - token.start
        elif token.script in {LATIN, FOREIGN}:
            words += token.text.count(" ") + 1
    return han, words
