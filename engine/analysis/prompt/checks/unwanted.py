"""Checks for things that a prompt should not name: negated ones, negative terms, things not in the picture."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from engine.analysis.prompt.draft import Draft
from engine.analysis.prompt.findings import Issue
from engine.analysis.prompt.normalised_text import normalise
from engine.analysis.prompt.phrases import is_verb
from engine.analysis.prompt.tokens import HAN, Token

_ITEMS = re.compile(r"[,;.。、|\n]+")
_EMPTY_WORDS = ("determiner", "auxiliary", "order", "coverb")
_SHOWING_VERBS = frozenset({"show", "have", "出现", "有", "让", "add", "include", "显示", "any", "look"})


def check_negations(draft: Draft) -> Iterator[Issue]:
    """W13: at most one issue for each part of the sentence."""
    for part in draft.parts:
        for index, token in enumerate(part.tokens):
            if not token.is_in("negation") or token.is_in("still") or _is_set_phrase(part.tokens, index):
                continue
            span = draft.span(part.tokens[index:])
            content = _content(draft, part.tokens[index + 1 :])
            values = {"word": draft.quote(span), "content": content or draft.quote(span)}
            yield Issue("W13", "negation", span, values, "" if content else None, (content,) if content else ())
            break


def check_negative_prompt(draft: Draft) -> Iterator[Issue]:
    """I15: terms of the negative prompt, separated by commas, that occur in the prompt word for word."""
    negative = draft.settings.negative_prompt
    if not negative:
        return
    terms = {term.strip() for term in _ITEMS.split(normalise(negative).text)}
    terms = {term for term in terms if len(term) > 1}
    lengths = sorted(set(map(len, terms)), reverse=True)
    text = draft.normalised.text
    position = 0
    while position < len(text):
        for length in lengths:
            end = position + length
            if end <= len(text) and text[position:end] in terms and _is_word(text, position, end):
                span = draft.normalised.span(position, end)
                yield Issue("I15", "both", span, {"word": draft.quote(span)})
                position += length - 1
                break
        position += 1


def check_absent_nouns(draft: Draft) -> Iterator[Issue]:
    """W20: nouns that the scorer did not find in the picture."""
    for span in draft.settings.absent_nouns:
        yield Issue("W20", "absent", span, {"word": draft.quote(span)})


def _is_set_phrase(tokens: Sequence[Token], index: int) -> bool:
    """True for 不 that negates nothing: inside an unlisted word (不锈钢), or between verb and complement (看不清)."""
    token = tokens[index]
    if token.script != HAN or len(token.text) > 1:
        return False
    after = tokens[index + 1] if index + 1 < len(tokens) else None
    if after is None or not after.lists:
        return True
    return index > 0 and is_verb(tokens[index - 1]) and after.is_in("aspect")


def _content(draft: Draft, tokens: Sequence[Token]) -> str:
    """The negated thing, without the verb of showing: "不要出现其他人" → "其他人"."""
    start = 0
    while start < len(tokens) and (tokens[start].text in _SHOWING_VERBS or tokens[start].is_in(*_EMPTY_WORDS)):
        start += 1
    return draft.quote(draft.span(tokens[start:])) if start < len(tokens) else ""


def _is_word(text: str, start: int, end: int) -> bool:
    """True if a term of letters begins and ends at word borders. Chinese has no word borders."""
    opens = start == 0 or not (text[start].isascii() and text[start - 1].isalnum() and text[start - 1].isascii())
    return opens and not (end < len(text) and text[end].isalnum() and text[end].isascii() and text[end - 1].isascii())
