"""Normalises a sentence, and maps positions of the normalised text back to the original.

Full-width forms, compositions, letter case, invisible characters and runs of white space make no difference to the
normalised text.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from engine.api.prompt_report import Span

# Unicode's stream-safe text format (UAX 15) allows 30 marks in a row. Ordering more of them takes quadratic time.
_LONGEST_RUN_OF_MARKS = 30
_INVISIBLE = frozenset({"Cf", "Cc", "Cs", "Co", "Cn"})
_VARIATION_SELECTORS = frozenset(map(chr, range(0xFE00, 0xFE10)))
_HANGUL_TAILS = range(0x1160, 0x1200)  # vowels and finals that join the consonant before them


@dataclass(frozen=True, slots=True)
class NormalisedText:
    """The normalised ``text``. Its character i comes from ``starts[i]`` to ``ends[i]`` of the original sentence."""

    text: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    def span(self, start: int, end: int) -> Span:
        """The span of the original sentence that characters ``start`` to ``end`` of the normalised text come from."""
        if start >= end:
            position = self.starts[start] if start < len(self.starts) else (self.ends[-1] if self.ends else 0)
            return Span(position, position)
        return Span(self.starts[start], self.ends[end - 1])


def normalise(sentence: str) -> NormalisedText:
    """Normalises a sentence: NFKC, case folded, without invisible characters, white space as single blanks.

    Never fails, takes linear time, and gives equal texts for canonically equal sentences.
    """
    characters: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    position = 0
    while position < len(sentence):
        end = end_of_cluster(sentence, position)
        cluster = sentence[position : min(end, position + 1 + _LONGEST_RUN_OF_MARKS)]
        for folded in unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", cluster).casefold()):
            if folded.isspace():
                if characters and characters[-1] == " ":
                    ends[-1] = end
                    continue
            elif unicodedata.category(folded) in _INVISIBLE or folded in _VARIATION_SELECTORS:
                continue
            characters.append(" " if folded.isspace() else folded)
            starts.append(position)
            ends.append(end)
        position = end
    return NormalisedText("".join(characters), tuple(starts), tuple(ends))


def end_of_cluster(sentence: str, start: int) -> int:
    """The end of the character that starts here, with the marks that join it."""
    end = start + 1
    while end < len(sentence) and (
        ord(sentence[end]) >= 0x300  # plain text takes the short way
        and (unicodedata.category(sentence[end])[0] == "M" or ord(sentence[end]) in _HANGUL_TAILS)
    ):
        end += 1
    return end
