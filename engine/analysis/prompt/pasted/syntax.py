"""Finds links, markup, and the syntax with which other programs weigh words."""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.analysis.prompt.pasted.mark import Mark
from engine.api.prompt_report import Span

# Each is linear: no repetition stands inside another one, and lengths are bounded.
_LINK = re.compile(r"(?:https?://|www\.)[^\s\u4e00-\u9fff，。）)>\"]+", re.IGNORECASE)
_WEIGHTED = re.compile(r"(?P<open>[(\[])[^()\[\]{}:]{1,200}(?P<close>: ?\d(?:\.\d{1,3})?[)\]])")
_WEIGHT = re.compile(
    r"<(?:lora|lyco|hypernet):[^<>\s]{1,100}>|: ?\d\.\d{1,3}(?=[)\]}）])|\[\[|\]\]|\(\(|\)\)|\{\{|\}\}"
    r"|(?<!\S)embedding:[\w.-]{1,60}",
    re.IGNORECASE,
)
_BREAK = re.compile(r"(?<!\S)BREAK(?!\S)")
_MARKUP = re.compile(
    r"</?[a-z][a-z0-9]{0,10}(?: [^<>]{0,200})?/?>|\*\*|__|```|(?<!\S)#{1,6}(?=\s)|&[a-z]{2,8};", re.IGNORECASE
)


def find_syntax(text: str) -> Iterator[Mark]:
    """W16."""
    for match in _LINK.finditer(text):
        yield Mark(Span(*match.span()), "W16", "link")
    for match in _WEIGHTED.finditer(text):
        yield Mark(Span(*match.span("open")), separates=False)
        yield Mark(Span(*match.span("close")), "W16", "weight", separates=False)
    for pattern in (_WEIGHT, _BREAK):
        for match in pattern.finditer(text):
            yield Mark(Span(*match.span()), "W16", "weight", separates=len(match[0]) > 2)
    for match in _MARKUP.finditer(text):
        yield Mark(Span(*match.span()), "W16", "markup", separates=False)
