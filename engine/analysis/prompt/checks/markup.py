"""Checks for quality tags and for requests to a chat model; pasted syntax is told by ``checks.pasted``."""

from __future__ import annotations

from collections.abc import Iterator

from engine.analysis.prompt.draft import Draft
from engine.analysis.prompt.findings import Issue

_MOST_TAGS = 1
_WEAK_REQUESTS = frozenset({"视频", "短视频", "图片", "动图", "the video", "a video", "the picture", "the image"})


def check_markup(draft: Draft) -> Iterator[Issue]:
    """W16."""
    yield from _tags(draft)
    yield from _requests(draft)


def _tags(draft: Draft) -> Iterator[Issue]:
    tags = [token for token in draft.words if token.is_in("quality")]
    sizes = sum(mark.case == "size" for mark in draft.source.marks)  # "4k" stands in lists of tags as well
    if len(tags) + sizes > _MOST_TAGS:
        for token in tags:
            span = draft.span([token])
            yield Issue("W16", "tags", span, {"word": draft.quote(span), "count": len(tags) + sizes - 1}, "")


def _requests(draft: Draft) -> Iterator[Issue]:
    words = draft.words
    opens_with_order = bool(words) and words[0].is_in("order")
    for index, token in enumerate(words):
        if token.is_in("ask") and (opens_with_order or token.text not in _WEAK_REQUESTS):
            end = index + 2 if index + 1 < len(words) and words[index + 1].text == "of" else index + 1
            span = draft.span(words[index:end])
            yield Issue("W16", "request", span, {"word": draft.quote(span)}, "")
