"""The prompt report: clauses of a sentence and findings.

Positions are half-open ranges of code points of the prompt as it was sent: ``prompt[span.start : span.end]``. Texts are
those that the model is given: with entities resolved, white space joined, and full-width letters narrowed.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from engine.api.fields import Field


class Language(enum.Enum):
    """Language of a sentence. Rules and word lists exist for English and Chinese."""

    EN = "en"
    ZH = "zh"
    OTHER = "other"


class Severity(enum.Enum):
    """Weight of a finding. ERROR: not worth generating. WARNING: may spoil the clip. INFO: may improve it."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class ClauseKind(enum.Enum):
    """The subject matter of a clause."""

    SUBJECT = "subject"
    ACTION = "action"
    ENVIRONMENT = "environment"
    CAMERA = "camera"
    STYLE = "style"


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A half-open range of code points of the original sentence."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Noun:
    """A thing that a clause names.

    ``subject_class`` is the word list that holds the noun, empty for an unlisted word.
    """

    span: Span
    text: str
    subject_class: str


@dataclass(frozen=True, slots=True)
class Clause:
    """A part of a sentence with one subject matter.

    ``stage`` counts the actions from 1. What accompanies an action has the number of that action; other kinds have 0.
    ``moves`` is true for a clause about something that changes with time.
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

    ``case`` names one of the rows of a code in the table. ``field`` is the field of the job that the advice is about;
    ``span`` is None if that is not the prompt. ``replacement`` is the text that a rule would put in place of the span
    (empty: delete the span); None if no rule can decide.
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
    """Settings and clip lengths that suit a model.

    ``default_guidance_scale`` is the model's own value, ``native_seconds`` the length of the clips it was trained on,
    ``longest_seconds`` the length of the longest compiled clip.
    """

    default_guidance_scale: float | None = None
    native_seconds: float | None = None
    longest_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class PromptReport:
    """Clauses of a prompt, in order, and findings.

    ``language`` is the prompt's main language. ``rewritten_prompt`` is None if nothing needs a change or no rule can
    make it. ``negative_prompt_additions`` are words that the rewriting moved out of the prompt.
    """

    language: Language
    clauses: tuple[Clause, ...]
    findings: tuple[Finding, ...]
    rewritten_prompt: str | None
    negative_prompt_additions: tuple[str, ...]

    @property
    def asks_for_motion(self) -> bool:
        """True if a clause is an action that moves: not "stays still"."""
        return any(clause.kind is ClauseKind.ACTION and clause.moves for clause in self.clauses)
