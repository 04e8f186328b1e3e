"""Checks whether a prompt is too short or too long, and whether its language has rules."""

from __future__ import annotations

from collections.abc import Iterator

from engine.analysis.prompt.checks.examples import example_for
from engine.analysis.prompt.draft import Draft
from engine.analysis.prompt.findings import Issue
from engine.analysis.prompt.language import length_in_units
from engine.api.prompt_report import Language

# Below and above these a sentence says too little or more than the model follows; the maker's own rewriting rules
# for image-to-video end at 100 characters or words as well.
_FEWEST_HAN, _FEWEST_WORDS = 8, 5
_MOST_UNITS = 100
_TOKEN_LIMIT = 512
_LONGEST_PIECE = 16  # characters: no token of a SentencePiece model holds more, so this bounds the count from below


def check_length(draft: Draft) -> Iterator[Issue]:
    """E01 and E02."""
    han, words = length_in_units(draft.words)
    if not han + words:
        yield Issue("E01", "empty", draft.whole, {"example": example_for(draft)})
        return
    if han / _FEWEST_HAN + words / _FEWEST_WORDS < 1 and draft.language is not Language.OTHER:
        yield Issue("E01", "short", draft.whole, {"length": han + words, "example": example_for(draft)})
    token_count = draft.settings.token_count
    if token_count is None:
        token_count = len(draft.source.given.text) // _LONGEST_PIECE
    if token_count > _TOKEN_LIMIT:
        yield Issue("E02", "tokens", draft.whole, {"length": token_count, "limit": _TOKEN_LIMIT})
    elif han + words > _MOST_UNITS:
        yield Issue("E02", "long", draft.whole, {"length": han + words, "limit": _MOST_UNITS})


def check_language(draft: Draft) -> Iterator[Issue]:
    """I21."""
    if draft.language is Language.OTHER:
        yield Issue("I21", "language", draft.whole)
