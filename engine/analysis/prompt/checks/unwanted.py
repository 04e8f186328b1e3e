"""Checks for things that a prompt should not name: negated ones, and terms of the negative prompt."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from engine.analysis.prompt.draft import Draft
from engine.analysis.prompt.findings import Issue
from engine.analysis.prompt.negations import SHOWING_VERBS, negation_places
from engine.analysis.prompt.normalised_text import normalise
from engine.analysis.prompt.tokens import Token

_ITEMS = re.compile(r"[,;.。、|\n]+")
_EMPTY_WORDS = ("determiner", "auxiliary", "order", "coverb")
_JOINING = ("conjunction", "localizer")


def check_negations(draft: Draft) -> Iterator[Issue]:
    """W13: one issue for each negation."""
    for part in draft.parts:
        places = negation_places(part.tokens)
        for place, following in zip(places, [*places[1:], len(part.tokens)], strict=False):
            span = draft.span(part.tokens[place:following])
            content = _content(draft, part.tokens[place + 1 : following])
            values = {"word": draft.quote(span), "content": content or draft.quote(span)}
            yield Issue("W13", "negation", span, values, "" if content else None, (content,) if content else ())


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


def _content(draft: Draft, tokens: Sequence[Token]) -> str:
    """The negated thing, without the verb of showing: "不要出现其他人" → "其他人"."""
    start, end = 0, len(tokens)
    while start < end and (tokens[start].text in SHOWING_VERBS or tokens[start].is_in(*_EMPTY_WORDS)):
        start += 1
    while end > start and tokens[end - 1].is_in(*_JOINING):
        end -= 1
    return draft.quote(draft.span(tokens[start:end])) if start < end else ""


def _is_word(text: str, start: int, end: int) -> bool:
    """True if a term of letters begins and ends at word borders. Chinese has no word borders."""
    opens = start == 0 or not (text[start].isascii() and text[start - 1].isalnum() and text[start - 1].isascii())
    return opens and not (end < len(text) and text[end].isalnum() and text[end].isascii() and text[end - 1].isascii())
