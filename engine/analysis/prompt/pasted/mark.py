"""One thing in a prompt that describes nothing, and the places that are taken by such things."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from engine.api.prompt_report import Span

SENTENCE_ENDS = frozenset(".。!?！？;；:,，、|→…")  # after these, or at the start, a part of a sentence begins


@dataclass(frozen=True, slots=True)
class Mark:
    """``span`` of the given text is no part of the description.

    ``code`` and ``case`` name the finding, empty for none; ``shown`` is the place that the finding shows and that
    ``replacement`` would take. ``separates`` says that what stands before and after are different clauses, ``divides``
    different stages. ``additions`` belong in the negative prompt.
    """

    span: Span
    code: str = ""
    case: str = ""
    shown: Span | None = None
    separates: bool = True
    divides: bool = False
    replacement: str | None = ""
    additions: tuple[str, ...] = ()

    @property
    def place(self) -> Span:
        """The place that the finding shows."""
        return self.shown or self.span


class Places:
    """The places of a text that are taken by a mark."""

    def __init__(self, length: int) -> None:
        self._taken = bytearray(length)

    def is_free(self, span: Span) -> bool:
        """True if no mark has a character of a span."""
        return self._taken.find(1, span.start, span.end) < 0

    def take(self, marks: Iterator[Mark]) -> Iterator[Mark]:
        """The marks whose place is free, which they take."""
        for mark in marks:
            if self.is_free(mark.span):
                self._taken[mark.span.start : mark.span.end] = b"\1" * (mark.span.end - mark.span.start)
                yield mark


def opens_part(text: str, position: int, line_starts: frozenset[int]) -> bool:
    """True if a part of the sentence begins here: at the start, on a new line, or after punctuation."""
    if position in line_starts:
        return True
    before = position - 1
    while before >= 0 and text[before] in " [](【】（）\"'":
        before -= 1
    return before < 0 or text[before] in SENTENCE_ENDS
