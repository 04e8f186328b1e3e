"""Finds lengths, sizes and frame rates asked for in words: ``a 10 second video``, ``4K, 60fps``, ``10秒视频``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.analysis.prompt.pasted.mark import Mark
from engine.api.prompt_report import Span

_ALONE = r"(?<![A-Za-z0-9.:/-])"
_NUMBER = r"\d{1,4}(?:\.\d{1,2})?"
_WORDS = "(?:one|two|three|four|five|six|seven|eight|nine|ten|fifteen|twenty|thirty|sixty)"
# The group "length" is left out of the sentence; the words around it are left to the rules of requests.
_ENGLISH_LENGTH = re.compile(
    rf"{_ALONE}(?:an? )?(?P<length>(?:{_NUMBER}|{_WORDS})[ -]?(?:seconds?|secs?|s|minutes?|mins?)[ -](?:long )?)"
    r"(?:video|clip|animation|shot|footage|loop|film|gif|movie)s?(?![A-Za-z])(?: of(?![A-Za-z]))?",
    re.IGNORECASE,
)
_ENGLISH_LENGTH_BEHIND = re.compile(
    rf"(?<![A-Za-z])(?:an? )?(?:video|clip|animation)(?P<length> (?:of|lasting|with a length of) "
    rf"(?:{_NUMBER}|{_WORDS}) ?(?:seconds?|secs?|s|minutes?|mins?)(?![A-Za-z]))"
    rf"|{_ALONE}(?P<long>(?:{_NUMBER}|{_WORDS})[ -]seconds? long)(?![A-Za-z])",
    re.IGNORECASE,
)
_LENGTH_ALONE = re.compile(
    rf"(?<=[,，;；]) ?{_NUMBER} ?(?:seconds?|secs?|s|秒钟?)(?= ?(?:[,，;；.。]|$))", re.IGNORECASE
)
_HAN_LENGTH = re.compile(
    r"(?:一段|一个|一条)?(?P<length>(?:\d{1,4}(?:\.\d{1,2})?|[一二三四五六七八九十两]{1,3}) ?(?:秒|s|分)钟?长?的?)"
    r"(?:短?视频|动画|片段|短片|动图)"
)
_RATIO = r"(?:16[:比]9|9[:比]16|21[:比]9|2\.39:1|2\.35:1)"
_ANY_RATIO = r"\d{1,2}(?:\.\d{1,2})?[:比]\d{1,2}"
_SIZE = re.compile(
    rf"{_ALONE}(?:in )?(?:4k|8k|2k|16k|uhd|full hd|(?:480|540|720|1080|1440|2160)[pi])(?![A-Za-z0-9])"
    r"(?: (?:resolution|quality|uhd|hdr)|分辨率|画质|超?高清)?"
    rf"|{_ALONE}(?:at )?\d{{2,3}} ?fps(?![A-Za-z0-9])|{_ALONE}\d{{2,3}} ?frames (?:per|a) second"
    rf"|(?<![第\d])\d{{2,3}} ?帧(?:每秒|/秒|/s|率)?(?!时|处)|每秒 ?\d{{2,3}} ?帧"
    rf"|{_ALONE}\d{{3,4}} ?[x×*] ?\d{{3,4}}(?![A-Za-z0-9])(?: ?(?:pixels|px|像素))?"
    rf"|(?:竖屏|横屏|画幅|比例|画面比例) ?{_ANY_RATIO}|{_ALONE}(?:aspect )?ratio(?: of)? {_ANY_RATIO}"
    rf"|{_ALONE}(?:in )?{_RATIO}(?![\d:])(?: ?(?:aspect ratio|format|画幅|比例|竖屏|横屏))?",
    re.IGNORECASE,
)


def find_sizes(text: str) -> Iterator[Mark]:
    """W23: lengths, sizes and frame rates, which the settings of a request decide."""
    for pattern in (_ENGLISH_LENGTH, _ENGLISH_LENGTH_BEHIND, _HAN_LENGTH):
        for match in pattern.finditer(text):
            group = "length" if match["length"] is not None else "long"
            yield Mark(Span(*match.span(group)), "W23", "length", Span(*match.span()), separates=False)
    for match in _LENGTH_ALONE.finditer(text):
        yield Mark(Span(*match.span()), "W23", "length")
    for match in _SIZE.finditer(text):
        yield Mark(Span(*match.span()), "W23", "size")
