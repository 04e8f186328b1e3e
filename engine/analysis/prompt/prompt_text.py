"""A prompt as it was sent, as the model is given it, and as the rules and the scorer read it: without what was pasted.

Three texts, each with a map of its places: prompt → given text (``given_text``) → the sentence that describes.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.analysis.prompt.given_text import GivenText, given_text
from engine.analysis.prompt.pasted.mark import Mark
from engine.analysis.prompt.pasted.marks import find_marks
from engine.api.prompt_report import Span

SEPARATOR, DIVIDER = "|", "→"  # stand in the sentence for marks between two clauses, and between two stages


@dataclass(frozen=True, slots=True)
class PromptText:
    """The three texts of a prompt. ``sentence`` has its character i from ``places[i]`` of the given text."""

    prompt: str
    given: GivenText
    marks: tuple[Mark, ...]
    sentence: str
    places: tuple[int, ...]

    @property
    def is_json(self) -> bool:
        """True if the sentence stands in a JSON object."""
        return any(mark.case == "json" for mark in self.marks)

    @property
    def description(self) -> str:
        """The sentence as one text to score; the whole given text if nothing is left of it."""
        if not self.marks:
            return self.given.text
        parts = " ".join(self.sentence.replace(SEPARATOR, " ").replace(DIVIDER, " ").split())
        return parts or self.given.text

    def in_given(self, span: Span) -> Span:
        """The place in the given text of a span of the sentence."""
        if span.start >= span.end:
            at = self.places[span.start] if span.start < len(self.places) else len(self.given.text)
            return Span(at, at)
        return Span(self.places[span.start], self.places[span.end - 1] + 1)

    def in_prompt(self, span: Span) -> Span:
        """The place in the prompt of a span of the sentence."""
        return self.given.in_prompt(self.in_given(span))

    def of_prompt(self, span: Span) -> Span:
        """The place in the sentence of a span of the prompt; empty if the span is no part of the sentence."""
        wanted = self.given.of_prompt(span)
        inside = [index for index, place in enumerate(self.places) if wanted.start <= place < wanted.end]
        return Span(inside[0], inside[-1] + 1) if inside else Span(0, 0)


def read_prompt(prompt: str) -> PromptText:
    """Cleans a prompt and leaves out of the sentence what was pasted. Accepts any text; linear time."""
    given = given_text(prompt)
    marks = find_marks(given)
    sentence: list[str] = []
    places: list[int] = []
    position = 0
    for mark in marks:
        if mark.span.start == mark.span.end:
            continue  # only a finding
        sentence += given.text[position : mark.span.start]
        places += range(position, mark.span.start)
        position = mark.span.end
        if mark.separates:
            sentence.append(DIVIDER if mark.divides else SEPARATOR)
            places.append(mark.span.start)
        elif sentence and sentence[-1] == " " and given.text[position : position + 1] == " ":
            position += 1
        elif sentence and _is_letter(sentence[-1]) and _is_letter(given.text[position : position + 1]):
            sentence.append(" ")
            places.append(mark.span.start)
    sentence += given.text[position:]
    places += range(position, len(given.text))
    return PromptText(prompt, given, marks, "".join(sentence), tuple(places))


def _is_letter(character: str) -> bool:
    return character.isascii() and character.isalnum()
