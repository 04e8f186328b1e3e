"""A prompt as the checks see it: normalised text, words, parts and clauses, and the settings of the clip."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engine.analysis.prompt.clauses import clauses_of
from engine.analysis.prompt.language import language_of
from engine.analysis.prompt.normalised_text import NormalisedText, normalise
from engine.analysis.prompt.parts import SEPARATORS, cut
from engine.analysis.prompt.phrases import Part
from engine.analysis.prompt.prompt_text import PromptText, read_prompt
from engine.analysis.prompt.tokens import HAN, MARK, Token, tokenise
from engine.api.prompt_report import Clause, Language, ModelRange, Span

_UNKNOWN = ModelRange()


@dataclass(frozen=True, slots=True)
class PromptSettings:
    """Known facts besides the sentence; None for unknown ones. See ``report_prompt``."""

    guidance_scale: float | None = None
    duration_seconds: float | None = None
    negative_prompt: str | None = None
    token_count: int | None = None
    absent_nouns: tuple[Span, ...] = ()
    model: ModelRange = _UNKNOWN


@dataclass(frozen=True, slots=True)
class Draft:
    """A prompt and everything that was parsed from it.

    ``text`` is the sentence without what was pasted along with it; spans are places in it. ``words`` are its tokens
    without punctuation.
    """

    source: PromptText
    text: str
    normalised: NormalisedText
    words: tuple[Token, ...]
    parts: tuple[Part, ...]
    clauses: tuple[Clause, ...]
    language: Language
    settings: PromptSettings

    def span(self, tokens: Sequence[Token]) -> Span:
        """The span from the first of these tokens to the last."""
        return self.normalised.span(tokens[0].start, tokens[-1].end)

    def quote(self, span: Span) -> str:
        """The text of a span."""
        return self.text[span.start : span.end]

    @property
    def whole(self) -> Span:
        """The whole text."""
        return Span(0, len(self.text))

    def separated(self, first: Span, second: Span) -> bool:
        """True if punctuation, or a blank between Chinese words, stands between two spans."""
        between = self.text[first.end : second.start]
        blank_between_han = bool(between) and between.isspace() and self.language is Language.ZH
        return blank_between_han or not SEPARATORS.isdisjoint(unicodedata.normalize("NFKC", between))

    @property
    def segments(self) -> tuple[tuple[Clause, ...], ...]:
        """Clauses grouped by the punctuation between them."""
        groups: list[list[Clause]] = []
        for clause in self.clauses:
            if groups and not self.separated(groups[-1][-1].span, clause.span):
                groups[-1].append(clause)
            else:
                groups.append([clause])
        return tuple(map(tuple, groups))


def draft(prompt: str, settings: PromptSettings) -> Draft:
    """Parses a prompt. Accepts any text; linear time."""
    source = read_prompt(prompt)
    text = source.sentence
    normalised = normalise(text)
    tokens = tokenise(normalised)
    clauses = clauses_of(text, normalised, tokens)
    words = tuple(token for token in tokens if token.script != MARK)
    return Draft(source, text, normalised, words, cut(tokens), clauses, language_of(tokens), settings)


def has_sequence(tokens: Iterable[Token]) -> bool:
    """True if a word puts actions in an order: "then", "while", "然后", "一边"."""
    pairs = 0
    before: Token | None = None
    for token in tokens:
        if token.text == "边":  # 边走边唱: one alone is a place
            pairs += 1
        elif token.is_in("sequence", "together"):
            is_place = token.script == HAN and token.is_in("localizer") and before is not None and before.is_noun
            if not is_place:
                return True
        before = token
    return pairs > 1
