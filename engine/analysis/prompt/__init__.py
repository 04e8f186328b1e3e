"""What a sentence says and what to change in it, by rules, for English and Chinese. Knows no picture and no model.

Public names: ``report_prompt`` gives clauses, findings and a rewritten prompt; ``parse_clauses`` the clauses alone;
``engine.api.prompt_report`` holds what they return.
"""

from __future__ import annotations

from engine.analysis.prompt.clauses import parse_clauses
from engine.analysis.prompt.report import report_prompt
from engine.api.prompt_report import (
    Clause,
    ClauseKind,
    Finding,
    Language,
    ModelRange,
    Noun,
    PromptReport,
    Severity,
    Span,
)

__all__ = [
    "Clause",
    "ClauseKind",
    "Finding",
    "Language",
    "ModelRange",
    "Noun",
    "PromptReport",
    "Severity",
    "Span",
    "parse_clauses",
    "report_prompt",
]
