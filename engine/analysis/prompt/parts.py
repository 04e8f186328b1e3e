"""Cuts a sentence into parts at separators and connectives.

A connective ("and", "然后") cuts only if a verb follows it: "the cat and the dog run" is one part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.analysis.prompt import chinese, english
from engine.analysis.prompt.phrases import Part, Use
from engine.analysis.prompt.prompt_text import DIVIDER
from engine.analysis.prompt.tokens import HAN, LATIN, MARK, Token

SEPARATORS = frozenset(",;:.!?。…|→~")
_LONGEST_CHUNK = 120  # tokens; longer than real prompts, and keeps the grammars' look-ahead linear
_LEADING = ("conjunction", "sequence", "together")


def cut(tokens: Sequence[Token]) -> tuple[Part, ...]:
    """The parts of a sentence, in order, without punctuation."""
    parts: list[Part] = []
    for chunk, is_divided in _chunks(tokens):
        grammar = chinese if _is_mostly_chinese(chunk) else english
        uses = grammar.verb_uses(chunk)
        start = 0
        for index in range(1, len(chunk)):
            if _begins_part(chunk, uses, start, index):
                parts.append(_part(chunk, uses, start, index, is_divided and start == 0))
                start = index
        parts.append(_part(chunk, uses, start, len(chunk), is_divided and start == 0))
    return tuple(part for part in parts if part.tokens)


def _chunks(tokens: Sequence[Token]) -> Iterator[tuple[list[Token], bool]]:
    """The tokens between separators, and whether a divider stands before them."""
    chunk: list[Token] = []
    is_divided = False
    for index, token in enumerate(tokens):
        blank_between_han = token.after_blank and token.script == HAN and index > 0 and tokens[index - 1].script == HAN
        separates = token.script == MARK and token.text in SEPARATORS and not _inside_number(tokens, index)
        if chunk and (separates or blank_between_han or len(chunk) >= _LONGEST_CHUNK):
            yield chunk, is_divided
            chunk, is_divided = [], False
        is_divided = is_divided or (separates and token.text == DIVIDER)
        if token.script != MARK:
            chunk.append(token)
    if chunk:
        yield chunk, is_divided


def _inside_number(tokens: Sequence[Token], index: int) -> bool:
    """True if a mark stands between two characters without a blank, as in "7.5" or "example.com", or in "no. 2"."""
    if index == 0 or index + 1 >= len(tokens) or tokens[index].text not in {".", ":"}:
        return False
    before, after = tokens[index - 1], tokens[index + 1]
    if before.text == "no" and after.text.isdigit():
        return True
    return before.script == LATIN and after.script == LATIN and not after.after_blank


def _begins_part(tokens: Sequence[Token], uses: Sequence[Use | None], start: int, index: int) -> bool:
    token = tokens[index]
    if not token.is_in(*_LEADING) or tokens[index - 1].is_in(*_LEADING):
        return False
    if token.script == HAN and token.is_in("localizer") and tokens[index - 1].is_noun:
        return False
    verb_before = Use.MAIN in uses[start:index] or any(token.is_in("camera") for token in tokens[start:index])
    later = next((i for i in range(index + 1, len(tokens)) if tokens[i].is_in(*_LEADING)), len(tokens))
    while later < len(tokens) and later == index + 1:  # "and then"
        later = next((i for i in range(later + 1, len(tokens)) if tokens[i].is_in(*_LEADING)), len(tokens))
    verb_after = any(use is not None and use is not Use.ATTRIBUTE for use in uses[index + 1 : later])
    if token.is_in("sequence", "together"):
        return verb_after and (verb_before or token.script == LATIN)
    return verb_after and verb_before


def _part(tokens: Sequence[Token], uses: Sequence[Use | None], start: int, end: int, is_divided: bool) -> Part:
    """The part of some tokens without leading connectives."""
    first = start
    while first < end and tokens[first].is_in(*_LEADING) and not tokens[first].is_noun:
        first += 1
    return Part(tuple(tokens[first:end]), tuple(uses[first:end]), first > start, is_divided)


def _is_mostly_chinese(tokens: Sequence[Token]) -> bool:
    han = sum(token.end - token.start for token in tokens if token.script == HAN)
    return han > sum(token.script == LATIN for token in tokens)
