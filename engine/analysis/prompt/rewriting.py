"""Applies the replacements of issues to a text and repairs the punctuation around them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from engine.analysis.prompt.findings import Issue
from engine.api.prompt_report import Language

# The blanks of a given text are single, so that no pattern repeats a blank at the start: that would be quadratic.
_EMPTY_BRACKETS = re.compile(r"\( ?\)|\[ ?\]|\{ ?\}|【 ?】|「 ?」|\"\"|“ ?”")
_BLANKS = re.compile(r" {2,}")
_BLANK_BEFORE = re.compile(r" (?=[,.;:!?，。；：！？、)\]])")
_STOP_THEN_MORE = re.compile(r"([.。!?！？])[ .。!?！？,，;；:：、]*(?=[.。!?！？,，;；:：、])[.。!?！？,，;；:：、]")
_RUN = re.compile(r"([,，;；:：、])[ ,，;；:：、]*(?=[,，;；:：、])[,，;；:：、]")
_BEFORE_STOP = re.compile(r"[,，;；:：、](?: ?[,，;；:：、])*(?= ?[.。!?！？])")
_OPENING = re.compile(r"^[ ,，;；、.。:：!?！？|)\]}-]+")
_CLOSING = re.compile(r"[ ,，;；、:：|([{-]+$")
_THEN_COMMA = re.compile(r"\b([Tt]hen), ?|(然后)，")
_NEXT_SUBJECT = re.compile(r"\b([Tt]hen) (The|An?|He|She|It|They|His|Her|Its|Their|This|That|One|Two|Three)\b")
_FULL_WIDTH = {",": "，", ";": "；", ":": "：", "?": "？", "!": "！", ".": "。"}
_AFTER_HAN = re.compile(r"(?<=[\u3400-\u9fff”」』】)）])([,;:?!.])(?![\w.]*[a-z0-9]) ?|(?<=[\u3400-\u9fff])([,;:?!]) ?")
_STOPS = ".。!?！？…"
_CLOSERS = "\"'”’」』)）】"


def rewrite(text: str, issues: Sequence[Issue], language: Language) -> str:
    """The text with every replacement made; of two overlapping ones, the longer.

    Removes leftover punctuation, ends with one stop, and capitalises an English text if the original began with a
    capital.
    """
    chosen: list[tuple[int, int, str]] = []
    taken = bytearray(len(text))
    replacing = [issue for issue in issues if issue.span is not None and issue.replacement is not None]
    for issue in sorted(replacing, key=_extent, reverse=True):
        assert issue.span is not None
        assert issue.replacement is not None
        start, end = issue.span.start, issue.span.end
        if taken.find(1, start, end) < 0:
            taken[start:end] = b"\1" * (end - start)
            chosen.append((start, end, issue.replacement))
    pieces: list[str] = []
    position = 0
    for start, end, replacement in sorted(chosen):
        pieces += text[position:start], replacement
        position = end
    pieces.append(text[position:])
    first = next((letter for letter in text if letter.isalpha()), "")
    return _tidy("".join(pieces), was_capital=first.isupper(), language=language)


def _extent(issue: Issue) -> int:
    return issue.span.end - issue.span.start if issue.span is not None else 0


def _tidy(text: str, *, was_capital: bool, language: Language) -> str:
    text = _BLANKS.sub(" ", text)
    text = _EMPTY_BRACKETS.sub("", text)
    text = _BLANK_BEFORE.sub("", _BLANKS.sub(" ", text))
    text = _BEFORE_STOP.sub("", _RUN.sub(r"\1", _STOP_THEN_MORE.sub(r"\1", text)))
    text = _CLOSING.sub("", _OPENING.sub("", text))
    if not text:
        return text
    if language is Language.EN:
        text = _THEN_COMMA.sub(r"\1 ", text)
        text = _NEXT_SUBJECT.sub(lambda match: f"{match[1]} {match[2].lower()}", text)
    elif language is Language.ZH:
        text = _THEN_COMMA.sub(r"\2", text)
        text = _AFTER_HAN.sub(lambda match: _FULL_WIDTH[match[1] or match[2]], text)
    if text.rstrip(_CLOSERS)[-1:] not in _STOPS:
        text += "。" if language is Language.ZH else "."
    if language is Language.EN and was_capital:
        first = next((index for index, letter in enumerate(text) if letter.isalpha()), 0)
        text = text[:first] + text[first].upper() + text[first + 1 :]
    return text
