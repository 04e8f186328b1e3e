"""The table of findings (``findings.toml``), and how a row becomes a finding.

Only the table holds severities and messages; the tables of ``docs/findings.md`` are made from it.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.api.fields import Field
from engine.api.prompt_report import Finding, Language, Severity, Span

_FOLDER = Path(__file__).parent
_LONGEST_QUOTE = 80  # characters of a prompt that a message repeats


@dataclass(frozen=True, slots=True)
class FindingCase:
    """One variant of a finding. ``message`` and ``suggestion`` are templates by language."""

    name: str
    severity: Severity
    message: Mapping[Language, str]
    suggestion: Mapping[Language, str]


@dataclass(frozen=True, slots=True)
class FindingRow:
    """A finding of the table. ``check`` describes the check in words."""

    code: str
    field: Field
    title: Mapping[Language, str]
    check: str
    example: Mapping[Language, str]
    cases: Mapping[str, FindingCase]


@dataclass(frozen=True, slots=True)
class Issue:
    """The result of a check: a case of a finding, its place, and the values for its message.

    ``additions`` are words that belong in the negative prompt once ``replacement`` has removed them.
    """

    code: str
    case: str
    span: Span | None = None
    values: Mapping[str, str | int | float] = field(default_factory=dict)
    replacement: str | None = None
    additions: tuple[str, ...] = ()


_COMPARED = frozenset({"I15", "W20"})  # compare the prompt with the negative prompt and with the picture


def is_about_wording(code: str) -> bool:
    """True for a finding on the sentence alone: not on settings, the negative prompt or the picture."""
    return finding_table()[code].field is Field.PROMPT and code not in _COMPARED


@functools.cache
def finding_table() -> Mapping[str, FindingRow]:
    """All rows by code, in the order of the table."""
    rows = tomllib.loads((_FOLDER / "findings.toml").read_text(encoding="utf-8"))["finding"]
    return {row["code"]: _row(row) for row in rows}


@functools.cache
def example_motions() -> Mapping[str, Mapping[Language, str]]:
    """An example motion for each class of subject, by class and language."""
    table = tomllib.loads((_FOLDER / "examples.toml").read_text(encoding="utf-8"))
    return {name: _by_language(texts) for name, texts in table.items()}


def finding_of(issue: Issue, language: Language) -> Finding:
    """The finding of an issue, in English unless ``language`` is Chinese."""
    row = finding_table()[issue.code]
    case = row.cases[issue.case]
    message_language = language if language in case.message else Language.EN
    values = {name: _short(value) for name, value in issue.values.items()}
    message, suggestion = (
        case.message[message_language].format(**values),
        case.suggestion[message_language].format(**values),
    )
    return Finding(row.code, case.name, case.severity, row.field, issue.span, message, suggestion, issue.replacement)


def _short(value: str | float) -> str:
    if not isinstance(value, str):
        return f"{value:g}"
    return value if len(value) <= _LONGEST_QUOTE else value[:_LONGEST_QUOTE] + "…"


def _row(row: Mapping[str, Any]) -> FindingRow:
    cases = {
        case["name"]: FindingCase(
            case["name"], Severity(case["severity"]), _by_language(case["message"]), _by_language(case["suggestion"])
        )
        for case in row["case"]
    }
    return FindingRow(
        row["code"], Field(row["field"]), _by_language(row["title"]), row["check"], _by_language(row["example"]), cases
    )


def _by_language(texts: Mapping[str, str]) -> Mapping[Language, str]:
    return {Language(name): text for name, text in texts.items()}
