"""Finds a JSON object in a prompt: its strings describe, its keys and brackets do not.

A value of a negative or a technical key describes nothing either. Broken JSON is read as far as it goes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.analysis.prompt.pasted.mark import Mark
from engine.analysis.prompt.pasted.setting_names import LENGTH_KEYS, NUMBER_KEYS, SIZE_KEYS, WORD_KEYS, case_of
from engine.api.prompt_report import Span

_OPENING = re.compile(r"(?:```(?:json)? ?)?(?:\[ ?)?\{ ?([\"'])[^\"'{}\n]{1,60}\1 ?:")
_OTHERS = r"(?P<key> ?:)?|(?P<open>[{\[])|(?P<close>[}\]])|(?P<bare>[\w.+-]+)"
_PIECE = {
    '"': re.compile(r'"(?P<value>(?:[^"\\]|\\.){0,4000}+)"' + _OTHERS),
    "'": re.compile(r"'(?P<value>(?:[^'\\]|\\.|'(?! ?[:,}\]])){0,4000}+)'" + _OTHERS),
}
_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{4}|.)")
_CLOSING = re.compile(r" ?\]?(?: ?```)?")
_NEGATIVE = re.compile(r"neg|avoid|exclude|负|反向|排除|禁止")
_SETTINGS = frozenset(
    (*LENGTH_KEYS, *SIZE_KEYS, *NUMBER_KEYS, *WORD_KEYS, "id", "type", "format", "language", "quality")
)


def find_json(text: str) -> Iterator[Mark]:
    """W16 on the whole object, W23 on its negative prompt and settings. At most one object or list of objects."""
    opening = _OPENING.search(text)
    if opening is None:
        return
    first = opening.start()
    values, settings, end = _read(text, first, opening[1])
    whole = Span(first, end)
    position, is_first = first, True
    for span in values:
        between = "" if is_first else ", "
        yield _syntax(Span(position, span.start), whole if is_first else None, between)
        for escape in _ESCAPE.finditer(text, span.start, span.end):
            yield Mark(Span(*escape.span()), separates=False, replacement=" ")
        position, is_first = span.end, False
    yield _syntax(Span(position, end), whole if is_first else None, "")
    for span, key, content in settings:
        is_negative = bool(_NEGATIVE.search(key))
        case = "negative" if is_negative else case_of(key)
        additions = (content,) if is_negative and content else ()
        at = Span(span.start, span.start)  # the brackets around it take the place
        yield Mark(at, "W23", case, span, additions=additions, replacement=None)


def _syntax(span: Span, whole: Span | None, replacement: str) -> Mark:
    if whole is None:
        return Mark(span, replacement=replacement)
    return Mark(span, "W16", "json", whole, replacement=replacement)


def _read(text: str, start: int, quote: str) -> tuple[list[Span], list[tuple[Span, str, str]], int]:
    """Strings that describe, settings with their text, and the end of the object."""
    values: list[Span] = []
    settings: list[tuple[Span, str, str]] = []
    key, key_start, depth, end = "", start, 0, len(text)
    position = text.index("{", start)
    if "[" in text[start:position]:
        depth = 1
    for piece in _PIECE[quote].finditer(text, position):
        if piece["open"]:
            depth += 1
        elif piece["close"]:
            depth -= 1
            if depth <= 0:
                end = piece.end()
                break
        elif piece["key"]:
            key, key_start = piece["value"].casefold().replace("_", " ").strip(), piece.start()
        elif key in _SETTINGS or _NEGATIVE.search(key):
            settings.append((Span(key_start, piece.end()), key, piece["value"] or piece["bare"] or ""))
        elif piece["value"] and piece["value"].strip():
            values.append(Span(*piece.span("value")))
    closing = _CLOSING.match(text, end)
    return values, settings, closing.end() if closing and closing.end() > end else end
