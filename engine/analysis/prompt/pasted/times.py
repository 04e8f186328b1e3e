"""Finds points in time and numbers of shots: ``[0s-2s]``, ``0:00-0:02``, ``第1秒``, ``Shot 1:``, ``镜头1：``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.analysis.prompt.pasted.mark import Mark, opens_part
from engine.api.prompt_report import Span

NUMBER = r"\d{1,4}(?:\.\d{1,3})?"
HAN_NUMBER = "[一二三四五六七八九十两]{1,3}"
_ALONE = r"(?<![A-Za-z0-9.:/])"
_WORDS = "(?:one|two|three|four|five|six|seven|eight|nine|ten)"
_UNIT = r"(?:s(?:ec(?:ond)?s?)?(?![A-Za-z0-9])|秒钟?)"
_CLOCK = r"\d{1,2}:[0-5]\d(?:[:.]\d{1,3}){0,2}"
_DASH = r" ?(?:-|–|—|~|〜|→|to|至|到) ?"
_POINT = rf"第?(?:{_CLOCK}|{NUMBER} ?{_UNIT}?)"
_HAS_UNIT = re.compile(rf"{_CLOCK}|{_UNIT}", re.IGNORECASE)

_BRACKETED = re.compile(rf"[\[(【〔{{] ?(?:t ?= ?)?({_POINT}(?:{_DASH}{_POINT})?) ?[\])】〕}}] ?:?", re.IGNORECASE)
_RANGE = re.compile(rf"{_ALONE}({_POINT}{_DASH}{_POINT})(?![A-Za-z0-9]) ?[:,]?", re.IGNORECASE)
_POINT_WITH_COLON = re.compile(rf"(?:(?<![A-Za-z0-9])t ?[=+] ?|{_ALONE})(?:{NUMBER} ?{_UNIT}) ?:", re.IGNORECASE)
_CLOCK_ALONE = re.compile(rf"{_CLOCK} ?[-–—]? ")
_HAN_POINT = re.compile(
    rf"在?第 ?(?:{NUMBER}|{HAN_NUMBER})(?: ?秒)?(?:{_DASH}第? ?(?:{NUMBER}|{HAN_NUMBER}))? ?秒钟?"
    r"(?:时|内|后|开始|起)?[:,]?"
    rf"|(?:前|后|最后|最初|开头|接下来)(?:{NUMBER}|{HAN_NUMBER}) ?秒钟?(?:内|里|时)?[:,]?"
    rf"|(?:持续)?{_ALONE}{NUMBER} ?秒钟?(?:之?后|之?内|以内|时)[:,]?"
)
_OPENER = re.compile(
    rf"(?<![A-Za-z0-9])(?:(?:at|after|within|by|from) (?:the )?(?:{NUMBER}|{_WORDS}) ?{_UNIT}(?: mark)?"
    r"|at 0{1,2}:[0-5]\d(?! ?[ap]\.?m)"
    rf"|(?:in|for|during) the (?:first|last|next|final) (?:{NUMBER}|{_WORDS}) ?{_UNIT}"
    rf"|(?:at|from) (?:second|frame) \d{{1,4}}) ?[:,]?",
    re.IGNORECASE,
)
_LASTING = re.compile(
    rf" ?(?<![A-Za-z0-9])(?:for|over|lasting)(?: about| around)? (?:{NUMBER}|{_WORDS})(?:{_DASH}{NUMBER})? ?"
    rf"{_UNIT}|,? ?持续(?:{NUMBER}|{HAN_NUMBER}) ?秒钟?",
    re.IGNORECASE,
)
_NAME = "(?:shot|scene|clip|take|镜头|场景|分镜头?|镜号|画面|片段)"
_SHOT = re.compile(
    rf"(?<![A-Za-z0-9]){_NAME} ?(?:no\. ?|# ?)?(?:\d{{1,2}}|{HAN_NUMBER})(?: ?:| [-–—] )"
    rf"|[\[(【] ?{_NAME} ?(?:no\. ?|# ?)?(?:\d{{1,2}}|{HAN_NUMBER}) ?[\])】] ?:?",
    re.IGNORECASE,
)


def find_times(text: str, line_starts: frozenset[int]) -> Iterator[Mark]:
    """W22: points in time and numbered shots, which divide stages, and lengths of an action, which do not."""
    shots = list(_SHOT.finditer(text))
    for match in shots:
        replacement = "" if len(shots) == 1 else None
        yield Mark(Span(*match.span()), "W22", "shot", divides=True, replacement=replacement)
    for match in _BRACKETED.finditer(text):
        is_plain_clock = (
            match[0][0] == "(" and match[1].count(":") == 1 and not any(dash in match[1] for dash in "-–—~")
        )
        if _HAS_UNIT.search(match[1]) and not is_plain_clock:
            yield _time(match)
    for match in _RANGE.finditer(text):
        is_heading = match[0].endswith(":") or opens_part(text, match.start(), line_starts)
        if _HAS_UNIT.search(match[1]) and is_heading:
            yield _time(match)
    clocks = [clock for line in sorted(line_starts) if (clock := _CLOCK_ALONE.match(text, line))]
    if len(clocks) > 1:
        yield from map(_time, clocks)
    for pattern in (_HAN_POINT, _POINT_WITH_COLON):
        yield from map(_time, pattern.finditer(text))
    for match in _OPENER.finditer(text):
        heads = opens_part(text, match.start(), line_starts)
        yield _time(match) if heads else Mark(Span(*match.span()), "W22", "time", separates=False)
    for match in _LASTING.finditer(text):
        yield Mark(Span(*match.span()), "W22", "time", separates=False)


def _time(match: re.Match[str]) -> Mark:
    return Mark(Span(*match.span()), "W22", "time", divides=True)
