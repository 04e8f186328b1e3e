"""Checks for text that is no description: syntax of other programs, links, tags, requests to a chat model."""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.analysis.prompt.draft import Draft
from engine.analysis.prompt.findings import Issue
from engine.api.prompt_report import Span

# Each is linear: no repetition stands inside another one, and lengths are bounded.
_LINK = re.compile(r"(?:https?://|www\.)[^\s\u4e00-\u9fff，。）)>\"]+", re.IGNORECASE)
_WEIGHT = re.compile(
    r"<lora:[^<>\s]{1,100}>|:\s?\d\.\d{1,3}(?=[)\]}）])|\[\[|\]\]|\(\(|\)\)|\{\{|\}\}"
    r"|(?<!\S)--[a-z]{1,12}(?: [\d:.]{1,10})?"
)
_MARKUP = re.compile(
    r"</?[a-z][a-z0-9]{0,10}(?: [^<>]{0,200})?/?>|\*\*|__|```|(?<!\S)#{1,6}(?=\s)|&[a-z]{2,8};", re.IGNORECASE
)
_MOST_TAGS = 1
_WEAK_REQUESTS = frozenset({"视频", "短视频", "图片", "动图", "the video", "a video", "the picture", "the image"})


def check_markup(draft: Draft) -> Iterator[Issue]:
    """W16."""
    taken: set[int] = set()
    for case, pattern in (("link", _LINK), ("weight", _WEIGHT), ("markup", _MARKUP)):
        for match in pattern.finditer(draft.text):
            if match.start() not in taken:
                taken.update(range(*match.span()))
                yield Issue("W16", case, Span(*match.span()), {"word": match[0]}, "")
    yield from _tags(draft)
    yield from _requests(draft)


def _tags(draft: Draft) -> Iterator[Issue]:
    tags = [token for token in draft.words if token.is_in("quality")]
    if len(tags) > _MOST_TAGS:
        for token in tags:
            span = draft.span([token])
            yield Issue("W16", "tags", span, {"word": draft.quote(span), "count": len(tags) - 1}, "")


def _requests(draft: Draft) -> Iterator[Issue]:
    words = draft.words
    opens_with_order = bool(words) and words[0].is_in("order")
    for index, token in enumerate(words):
        if token.is_in("ask") and (opens_with_order or token.text not in _WEAK_REQUESTS):
            end = index + 2 if index + 1 < len(words) and words[index + 1].text == "of" else index + 1
            span = draft.span(words[index:end])
            yield Issue("W16", "request", span, {"word": draft.quote(span)}, "")
