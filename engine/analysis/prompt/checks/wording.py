"""Checks for words that a model of one short shot cannot follow: abstract words, cuts, transformations, text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.analysis.prompt.draft import Draft
from engine.analysis.prompt.findings import Issue
from engine.analysis.prompt.tokens import HAN, Token

_SAYING = frozenset({"says", "saying", "reads", "reading", "the word", "the words", "letters"})
_LEADING = frozenset({"充满", "极具", "富有", "具有"})
_LIVING = ("person", "animal", "bird", "fish", "vehicle", "object")
_QUOTES = frozenset("\"'“”‘’「」『』《》«»")


def check_abstract_words(draft: Draft) -> Iterator[Issue]:
    """W09: one issue for each run of abstract words."""
    words = draft.words
    index = 0
    while index < len(words):
        end = index
        while end < len(words) and words[end].is_in("abstract", "intensifier") and _joined(draft, words, index, end):
            end += 1
        while index < end and not (words[index].is_in("abstract") or words[index].text in _LEADING):
            index += 1
        if any(token.is_in("abstract") for token in words[index:end]):
            span = draft.span(words[index:end])
            yield Issue("W09", "abstract", span, {"word": draft.quote(span)}, _without(draft, words, index, end))
        index = max(end, index + 1)


def check_cuts(draft: Draft) -> Iterator[Issue]:
    """W11."""
    for token in draft.words:
        if token.is_in("cut"):
            span = draft.span([token])
            yield Issue("W11", "cut", span, {"word": draft.quote(span)})


def check_transformations(draft: Draft) -> Iterator[Issue]:
    """W12: not for the sky or the light, nor for a change of colour."""
    for part in draft.parts:
        if part.tokens[0].is_in("negation"):
            continue
        for index, (token, use) in enumerate(zip(part.tokens, part.uses, strict=True)):
            if not token.is_in("transform") or use is None:
                continue
            before, after = part.tokens[:index], part.tokens[index + 1 :]
            of_nature = any(t.is_in("sky", "manner") for t in before) and not any(
                t.is_in(*_LIVING) for t in before[-2:]
            )
            of_look = bool(after) and all(t.is_in("adjective", "adverb") and not t.is_noun for t in after)
            if not of_nature and not of_look:
                span = draft.span([token])
                yield Issue("W12", "transform", span, {"word": draft.quote(span)})


def check_text_in_picture(draft: Draft) -> Iterator[Issue]:
    """W17: not if text is refused, which is W13."""
    words = draft.words
    for index, token in enumerate(words):
        if not token.is_in("lettering") or any(t.is_in("negation") for t in words[max(index - 3, 0) : index]):
            continue
        if token.text in _SAYING and not _quotes_follow(draft, token):
            continue
        if token.text == "text" and any(t.text.startswith("read") for t in words[max(index - 2, 0) : index]):
            continue
        span = draft.span([token])
        yield Issue("W17", "lettering", span, {"word": draft.quote(span)})
        return


def _joined(draft: Draft, words: Sequence[Token], start: int, index: int) -> bool:
    """True if only a blank, or a comma between adjectives, stands before a word of a run."""
    if index == start:
        return True
    between = draft.normalised.text[words[index - 1].end : words[index].start].strip()
    return not between or (between == "," and words[index].is_in("abstract") and words[index].script != HAN)


def _without(draft: Draft, words: Sequence[Token], start: int, end: int) -> str | None:
    """The rest of a run of abstract words: nothing, or a determiner that fits the next word.

    None if no rule can decide.
    """
    after = words[end] if end < len(words) else None
    if words[start].script == HAN:
        leaves_bare = after is None or not _joined(draft, words, start, end)
        return None if leaves_bare and words[end - 1].text not in {"的", "地"} else ""
    before = words[start - 1] if start else None
    if after is not None and _joined(draft, words, start, end) and (after.is_noun or after.is_in("adjective")):
        return "" if before is None or before.text not in {"a", "an"} or _same_article(words[start], after) else None
    return None


def _same_article(first: Token, second: Token) -> bool:
    return (first.text[0] in "aeiou") == (second.text[0] in "aeiou")


def _quotes_follow(draft: Draft, token: Token) -> bool:
    return any(character in _QUOTES for character in draft.normalised.text[token.end : token.end + 3])
