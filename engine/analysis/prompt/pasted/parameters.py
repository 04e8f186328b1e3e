"""Finds settings pasted into a sentence: ``Negative prompt: …``, ``Steps: 20, CFG scale: 7``, ``--no x``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.analysis.prompt.pasted.mark import SENTENCE_ENDS, Mark, opens_part
from engine.analysis.prompt.pasted.setting_names import LENGTH_KEYS, NUMBER_KEYS, SIZE_KEYS, WORD_KEYS, case_of
from engine.api.prompt_report import Span

_NEGATIVE = re.compile(
    r"(?<![\w-])(?:negative(?:[ _-]prompts?)?|neg(?:[ _-]prompts?)?"
    r"|(?:反向|负向|负面|反面|否定)(?:提示词?|关键词|描述|词)?|负提示词) ?[:=]"
    r"|(?<![\w-])negative[ _-]prompts? [-–—] ",
    re.IGNORECASE,
)
_LABEL = re.compile(
    r"(?<![\w-])(?:(?:positive|video|main|text)[ _-])?prompt ?[:=]|(?<![\w-])positive ?:|(?:正向|正面)提示词? ?:"
    r"|(?<!\w)(?:(?:视频)?提示词|参数|parameters|settings) ?:",
    re.IGNORECASE,
)
_PART_LABEL = re.compile(
    r"(?<!\w)(?:subject|action|motion|movement|scene|setting|environment|background|camera|style|lighting|mood"
    r"|主体|人物|动作|场景|环境|背景|镜头|运镜|风格|光线|氛围) ?:",
    re.IGNORECASE,
)
_FEWEST_PART_LABELS = 2  # "the camera: …" alone may be a sentence
_FLAG = re.compile(
    r"(?<!\S)--(?:no (?P<no>(?:(?! --)[^|;]){1,200})|[a-z]{1,12}(?:[ =][\d.:]{1,10}(?!\S))?)", re.IGNORECASE
)
_VALUE = r"(?:约|为|是)? ?(?P<value>[^\s,;|。，；]{1,40})(?P<unit> ?(?:seconds|secs?|s|fps|秒|帧)(?!\w))?"
_WORD_VALUE = r"(?P<value>[^,;|.。，；]{1,60})"
_MOST_ADDED = 1_000  # characters of a negative prompt that a suggestion repeats


def _keys(keys: tuple[str, ...]) -> str:
    names = (re.escape(key).replace(r"\ ", "[ _]") for key in sorted(keys, key=len, reverse=True))
    return f"(?<![A-Za-z0-9_])(?P<key>{'|'.join(names)})"


_NUMBER_SETTING = re.compile(rf"{_keys(NUMBER_KEYS + SIZE_KEYS + LENGTH_KEYS)} ?[:=] ?{_VALUE}", re.IGNORECASE)
_HAN_SETTING = re.compile(
    rf"(?P<key>(?:视频)?时长|片长|分辨率|帧率|步数|(?<![A-Za-z])(?:cfg(?: scale)?|seed)(?= ?\d)) ?{_VALUE}",
    re.IGNORECASE,
)
_WORD_SETTING = re.compile(rf"{_keys(WORD_KEYS)} ?[:=] ?{_WORD_VALUE}", re.IGNORECASE)


def find_parameters(text: str, line_starts: frozenset[int]) -> Iterator[Mark]:
    """W23: settings with their values and blocks of a negative prompt; W16: labels of a prompt and flags."""
    settings = sorted(_settings(text), key=lambda mark: mark.span)
    labels = [
        match
        for match in _LABEL.finditer(text)
        if match[0].endswith("=") or opens_part(text, match.start(), line_starts)
    ]
    parts = [match for match in _PART_LABEL.finditer(text) if opens_part(text, match.start(), line_starts)]
    labels += parts if len(parts) >= _FEWEST_PART_LABELS else []
    heads = sorted({mark.span.start for mark in settings} | {match.start() for match in labels})
    yield from _negative_blocks(text, heads)
    yield from settings
    for match in labels:  # without "Action:" two fragments would be left
        yield Mark(Span(*match.span()), "W16", "label", replacement=None if match in parts else "")
    for match in _FLAG.finditer(text):
        if match["no"]:
            yield Mark(Span(*match.span()), "W23", "negative", additions=(_item(match["no"]),))
        else:
            yield Mark(Span(*match.span()), "W16", "weight")


def _settings(text: str) -> Iterator[Mark]:
    numbers = [
        match
        for pattern in (_NUMBER_SETTING, _HAN_SETTING)
        for match in pattern.finditer(text)
        if any(character.isdigit() for character in match["value"])
    ]
    for match in numbers:
        end = match.end()
        while end > match.start() and text[end - 1] in SENTENCE_ENDS:
            end -= 1
        yield Mark(Span(match.start(), end), "W23", case_of(match["key"]))
    if numbers or _NEGATIVE.search(text):  # "Model: a woman walks" alone describes
        for match in _WORD_SETTING.finditer(text):
            yield Mark(Span(match.start(), match.start() + len(match[0].rstrip())), "W23", "parameters")


def _negative_blocks(text: str, heads: list[int]) -> Iterator[Mark]:
    """From each heading to the next one, or to the end."""
    blocks = list(_NEGATIVE.finditer(text))
    for number, match in enumerate(blocks):
        end = blocks[number + 1].start() if number + 1 < len(blocks) else len(text)
        end = min((head for head in heads if match.end() <= head < end), default=end)
        content = _item(text[match.end() : end])
        yield Mark(Span(match.start(), end), "W23", "negative", additions=(content,) if content else ())


def _item(text: str) -> str:
    return text.strip(" ,;.|，；。、\"'")[:_MOST_ADDED]
