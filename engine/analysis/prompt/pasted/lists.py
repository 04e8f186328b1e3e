"""Finds the numbers and bullets of a list: ``1. … 2. …``, ``①…②…``, ``- … - …``, ``Step 1: …``, ``一、…二、…``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.analysis.prompt.pasted.mark import SENTENCE_ENDS, Mark, opens_part
from engine.api.prompt_report import Span

_HAN = {character: value for value, character in enumerate("一二三四五六七八九十", 1)}
_CIRCLED = {chr(0x2460 + index): index + 1 for index in range(20)}
_FAMILIES = (
    re.compile(r"(?<![^\s.。;；,，!?])(?P<number>\d{1,2})(?:[.)、]|\.\)) ?(?=[^\d\s.])"),
    re.compile(r"\((?P<number>\d{1,2})\) ?"),
    re.compile(rf"(?P<number>[{''.join(_CIRCLED)}]) ?[:.]? ?"),
    re.compile(r"(?<![A-Za-z])(?:step|步骤) ?(?P<number>\d{1,2}|[一二三四五六七八九十]) ?[:.] ?", re.IGNORECASE),
    re.compile(r"第(?P<number>[一二三四五六七八九十\d])步[:,]? ?"),
    re.compile(r"(?P<number>[一二三四五六七八九十])[、.] ?"),
)
_BULLET = re.compile(r"[-*•·●▪–—] ?(?=\S)")
_BULLETS_ANYWHERE = frozenset("•●▪")
_FEWEST = 2  # items of a list


def find_lists(text: str, line_starts: frozenset[int]) -> Iterator[Mark]:
    """I24: numbers that count up from 1, and bullets, of lists of two or more items."""
    for family in _FAMILIES:
        counted: list[re.Match[str]] = []
        for match in family.finditer(text):
            is_next = _value(match["number"]) == len(counted) + 1
            if is_next and (counted or _opens(text, match.start(), line_starts)):
                counted.append(match)
        yield from _items(counted)
    yield from _items(
        [
            match
            for match in _BULLET.finditer(text)
            if (match.start() in line_starts and match[0].endswith(" ")) or match[0][0] in _BULLETS_ANYWHERE
        ]
    )


def _opens(text: str, position: int, line_starts: frozenset[int]) -> bool:
    return opens_part(text, position, line_starts) or text[position - 1] in SENTENCE_ENDS


def _items(matches: list[re.Match[str]]) -> Iterator[Mark]:
    if len(matches) >= _FEWEST:
        for match in matches:
            yield Mark(Span(*match.span()), "I24", "numbered", divides=True)


def _value(number: str) -> int:
    return _HAN.get(number) or _CIRCLED.get(number) or int(number)
