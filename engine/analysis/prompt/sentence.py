"""A prompt as the scorer needs it: the sentence, its clauses, and what it lacks."""

from __future__ import annotations

from dataclasses import dataclass

from engine.analysis.prompt.checks import issues_of
from engine.analysis.prompt.draft import PromptSettings, draft
from engine.analysis.prompt.gaps import Gap, gaps_of
from engine.analysis.prompt.prompt_text import PromptText
from engine.api.prompt_report import Clause


@dataclass(frozen=True, slots=True)
class Sentence:
    """``clauses`` have their places in ``source.sentence``; ``source.in_prompt`` gives those in the prompt."""

    source: PromptText
    clauses: tuple[Clause, ...]
    gaps: frozenset[Gap]


def read_sentence(prompt: str) -> Sentence:
    """Parses and checks a prompt. Accepts any text; linear time."""
    read = draft(prompt, PromptSettings())
    return Sentence(read.source, read.clauses, gaps_of(read, issues_of(read)))
