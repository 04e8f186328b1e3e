"""What is said about a sentence: clauses and findings. Plain frozen data.

Positions are code points of the sentence as it was given, half-open: ``text[span.start : span.end]`` is the part that
is meant, whatever its script, width or composition. Knows no rule and no word.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from engine.api.fields import Field


class Language(enum.Enum):
    """Languages of sentences; rules and word lists exist for English and Chinese."""

    EN = "en"
    ZH = "zh"
    OTHER = "other"


class Severity(enum.Enum):
    """How much a finding matters: an error is not worth a clip, a warning may spoil it, an info may improve it."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class ClauseKind(enum.Enum):
    """What a clause tells."""

    SUBJECT = "subject"
    ACTION = "action"
    ENVIRONMENT = "environment"
    CAMERA = "camera"
    STYLE = "style"


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A half-open range of code points of the sentence as it was given."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Noun:
    """A thing that a clause names. ``subject_class`` is the word list that holds it, empty for a word of no list."""

    span: Span
    text: str
    subject_class: str


@dataclass(frozen=True, slots=True)
class Clause:
    """A part of a sentence that tells one thing.

    ``stage`` counts the actions from 1; what happens along with an action has its number, and a clause of another
    kind has 0. ``moves`` says whether the clause tells of something that changes with time.
    """

    kind: ClauseKind
    span: Span
    text: str
    language: Language
    stage: int
    moves: bool
    nouns: tuple[Noun, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """One piece of advice on a prompt or its settings.

    ``case`` tells apart the rows that a code has in the table. ``field`` is the field of the job that it is about;
    ``span`` is None where that is not the prompt. ``replacement`` is what a rule would put in place of the span
    (empty: leave it out), None where only a person can know.
    """

    code: str
    case: str
    severity: Severity
    field: Field
    span: Span | None
    message: str
    suggestion: str
    replacement: str | None = None


@dataclass(frozen=True, slots=True)
class ModelRange:
    """What a model was made for.

    ``default_guidance_scale`` is its own value, ``native_seconds`` the length of the clips that it was trained on,
    ``longest_seconds`` that of the longest clip that can be had of it; longer ones are not advised.
    """

    default_guidance_scale: float | None = None
    native_seconds: float | None = None
    longest_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class PromptReport:
    """All that is said about a prompt: its clauses in order and what to change.

    ``language`` is the one the prompt is mostly in. ``rewritten_prompt`` is None where nothing needs a change or no
    rule can make it. ``negative_prompt_additions`` are words that the rewriting took out because they belong there.
    """

    language: Language
    clauses: tuple[Clause, ...]
    findings: tuple[Finding, ...]
    rewritten_prompt: str | None
    negative_prompt_additions: tuple[str, ...]
