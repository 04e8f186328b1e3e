"""The text that the model is given for a prompt, and where each of its characters stands in the prompt.

``clean_prompt`` cleans as Diffusers does for Wan: the text encoder, the scorer and the rules all read its result.
"""

from __future__ import annotations

import functools
import html
import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass

import ftfy

from engine.analysis.prompt.normalised_text import end_of_cluster
from engine.api.prompt_report import Span

_BLANKS = re.compile(r"\s+")
_WORD_OR_BLANKS = re.compile(r"\s+|\S+")
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_LINE_ENDS = frozenset("\n\r\x0b\x0c\x85\u2028\u2029")
# Everything that html.unescape can replace; a match alone is replaced as inside a text.
_ENTITY = re.compile(r"&(?:#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[^\t\n\f <&#;]{1,32};?)")


def clean_prompt(prompt: str) -> str:
    """Repairs broken encodings, resolves HTML entities twice, joins white space, as Diffusers cleans prompts of Wan."""
    unescaped = html.unescape(html.unescape(ftfy.fix_text(prompt)))
    return _BLANKS.sub(" ", unescaped).strip()


@dataclass(frozen=True, slots=True)
class GivenText:
    """The cleaned ``text``. Its character i comes from ``starts[i]`` to ``ends[i]`` of the prompt.

    ``line_starts`` are the characters of ``text`` with which a line of the prompt begins.
    """

    text: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]
    line_starts: frozenset[int]

    def in_prompt(self, span: Span) -> Span:
        """The span of the prompt that a span of the text comes from."""
        if span.start >= span.end:
            at = self.starts[span.start] if span.start < len(self.starts) else (self.ends[-1] if self.ends else 0)
            return Span(at, at)
        return Span(self.starts[span.start], self.ends[span.end - 1])

    def of_prompt(self, span: Span) -> Span:
        """The span of the text that comes from a span of the prompt; empty if nothing does."""
        start = bisect_right(self.ends, span.start)
        return Span(start, max(bisect_left(self.starts, span.end), start))


def given_text(prompt: str) -> GivenText:
    """Cleans a prompt as ``clean_prompt`` does and keeps the places. Accepts any text."""
    text = clean_prompt(prompt)
    if text == prompt:
        return GivenText(text, tuple(range(len(text))), tuple(range(1, len(text) + 1)), frozenset({0}))
    pieces = _joined_blanks(_unescaped(_unescaped(_repaired(prompt))))
    if "".join(piece for piece, _, _ in pieces) != text:  # ftfy repaired characters across the pieces
        pieces = _joined_blanks(_around_change(prompt, text, 0))
    starts = tuple(start for piece, start, _ in pieces for _ in piece)
    ends = tuple(end for piece, _, end in pieces for _ in piece)
    return GivenText(text, starts, ends, _line_starts(prompt, pieces))


# A piece is a text and its place [start, end) in the prompt; all of its characters come from that place.
_Pieces = list[tuple[str, int, int]]


def _repaired(prompt: str) -> _Pieces:
    """The repairs of ftfy: of whole lines where those change nothing else, of words, or of single characters."""
    if ftfy.fix_text(prompt) == prompt:
        return [(character, at, at + 1) for at, character in enumerate(prompt)]
    pieces: _Pieces = []
    at, unescape = 0, True
    for line in _LINE.findall(prompt):
        unescape = unescape and "<" not in line  # ftfy resolves no entities from the first tag on
        pieces += _pieces_of_line(line, at, unescape)
        at += len(line)
    return pieces


def _pieces_of_line(line: str, at: int, unescape: bool) -> _Pieces:
    pieces: _Pieces = []
    for match in _WORD_OR_BLANKS.finditer(line):
        word, start = match[0], at + match.start()
        fixed = _fixed(word, unescape)
        if fixed == word:
            pieces += [(character, start + index, start + index + 1) for index, character in enumerate(word)]
        else:
            parts = _pieces_of_word(word, start, unescape)
            whole = "".join(piece for piece, _, _ in parts)
            pieces += parts if whole == fixed else _around_change(word, fixed, start)
    return pieces


def _pieces_of_word(word: str, at: int, unescape: bool) -> _Pieces:
    pieces: _Pieces = []
    position = 0
    while position < len(word):
        entity = _ENTITY.match(word, position) if unescape and word[position] == "&" else None
        end = entity.end() if entity else end_of_cluster(word, position)
        pieces.append((_fixed(word[position:end], unescape), at + position, at + end))
        position = end
    return pieces


@functools.lru_cache(8192)
def _fixed(text: str, unescape: bool) -> str:
    return ftfy.fix_text(text, unescape_html=unescape)


def _around_change(before: str, after: str, at: int) -> _Pieces:
    """Pieces of two texts that differ in the middle: every character of that middle comes from the whole of it."""
    head = _equal_count(before, after)
    tail = _equal_count(before[head:][::-1], after[head:][::-1])
    first, last = at + head, at + len(before) - tail
    return [
        *((character, at + index, at + index + 1) for index, character in enumerate(after[:head])),
        (after[head : len(after) - tail], first, last),
        *((after[len(after) - tail + index], last + index, last + index + 1) for index in range(tail)),
    ]


def _equal_count(first: str, second: str) -> int:
    """The number of characters at the start in which two texts agree."""
    shorter = min(len(first), len(second))
    return next((index for index in range(shorter) if first[index] != second[index]), shorter)


def _unescaped(pieces: _Pieces) -> _Pieces:
    text = "".join(piece for piece, _, _ in pieces)
    if "&" not in text:
        return pieces
    characters = [(character, start, end) for piece, start, end in pieces for character in piece]
    result: _Pieces = []
    position = 0
    for match in _ENTITY.finditer(text):
        result += characters[position : match.start()]
        result.append((html.unescape(match[0]), characters[match.start()][1], characters[match.end() - 1][2]))
        position = match.end()
    return result + characters[position:]


def _joined_blanks(pieces: _Pieces) -> _Pieces:
    """Single characters, each run of white space as one blank, none at either end."""
    result: _Pieces = []
    for piece, start, end in pieces:
        for character in piece:
            if not _BLANKS.match(character):
                result.append((character, start, end))
            elif result and result[-1][0] == " ":
                result[-1] = (" ", result[-1][1], end)
            elif result:
                result.append((" ", start, end))
    return result[:-1] if result and result[-1][0] == " " else result


def _line_starts(prompt: str, pieces: _Pieces) -> frozenset[int]:
    starts = {0}
    for index, (piece, start, end) in enumerate(pieces):
        if piece == " " and not _LINE_ENDS.isdisjoint(prompt[start:end]):
            starts.add(index + 1)
    return frozenset(starts)
