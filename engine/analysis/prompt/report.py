"""Makes the prompt report: runs the checks, and rewrites the prompt if rules suffice."""

from __future__ import annotations

import math
from collections.abc import Collection
from itertools import islice

from engine.analysis.prompt.checks import ANY_LANGUAGE, ENGLISH_AND_CHINESE
from engine.analysis.prompt.draft import Draft, PromptSettings, draft
from engine.analysis.prompt.findings import Issue, finding_of, finding_table
from engine.analysis.prompt.rewriting import rewrite
from engine.api.errors import InvalidJob, Violation
from engine.api.fields import Field
from engine.api.prompt_report import Language, ModelRange, PromptReport, Severity, Span

_LONGEST_REWRITTEN = 5_000  # characters; a longer rewriting would not be read
_MOST_OF_A_KIND = 20  # issues of one check; more would bury the other findings
_NOT_ABOUT_WORDING = frozenset({"I15", "W20"})  # they compare the prompt with the negative prompt and the picture
_WEIGHTS = {Severity.ERROR: 4, Severity.WARNING: 2, Severity.INFO: 1}


def report_prompt(
    text: str,
    *,
    guidance_scale: float | None = None,
    duration_seconds: float | None = None,
    negative_prompt: str | None = None,
    token_count: int | None = None,
    absent_nouns: Collection[Span] = (),
    model: ModelRange | None = None,
    language: Language | None = None,
) -> PromptReport:
    """Reports on a prompt and its settings; a setting that is None is not judged.

    ``token_count`` is the count of the text encoder's tokenizer; without it only a lower bound is known.
    ``absent_nouns`` are spans of nouns, as in ``Clause.nouns``, that the scorer does not find in the picture.
    ``language`` is that of the messages, by default the prompt's own, or English.

    Accepts any text; linear time. Raises ``InvalidJob`` if a setting is negative or no finite number, or if a span lies
    outside the text.
    """
    _check(text, guidance_scale, duration_seconds, token_count, absent_nouns)
    settings = PromptSettings(
        guidance_scale, duration_seconds, negative_prompt, token_count, tuple(absent_nouns), model or ModelRange()
    )
    read = draft(text, settings)
    issues = _issues(read)
    message_language = language or (Language.ZH if read.language is Language.ZH else Language.EN)
    rewritten, additions = _rewritten(read, issues)
    findings = tuple(finding_of(issue, message_language) for issue in issues)
    return PromptReport(read.language, read.clauses, findings, rewritten, additions)


def _issues(read: Draft) -> list[Issue]:
    checks = ANY_LANGUAGE if read.language is Language.OTHER else ANY_LANGUAGE + ENGLISH_AND_CHINESE
    found = [issue for check in checks for issue in islice(check(read), _MOST_OF_A_KIND)]
    order = list(finding_table())
    return sorted(found, key=lambda issue: (order.index(issue.code), issue.span or Span(0, 0)))


def _rewritten(read: Draft, issues: list[Issue]) -> tuple[str | None, tuple[str, ...]]:
    """The rewritten prompt, if it has fewer or lighter findings than the original, and the words it moved out."""
    if len(read.text) > _LONGEST_REWRITTEN or all(issue.replacement is None for issue in issues):
        return None, ()
    text = rewrite(read.text, issues, read.language)
    again = _issues(draft(text, PromptSettings(model=read.settings.model)))
    if not text or text == read.text or _weight(again) >= _weight(issues):
        return None, ()
    return text, tuple(dict.fromkeys(word for issue in issues for word in issue.additions))


def _weight(issues: list[Issue]) -> int:
    table = finding_table()
    total = 0
    for issue in issues:
        row = table[issue.code]
        if row.field is Field.PROMPT and issue.code not in _NOT_ABOUT_WORDING:
            total += _WEIGHTS[row.cases[issue.case].severity]
    return total


def _check(
    text: str,
    guidance_scale: float | None,
    duration_seconds: float | None,
    token_count: int | None,
    absent_nouns: Collection[Span],
) -> None:
    named = {
        Field.GUIDANCE_SCALE: guidance_scale,
        Field.FRAME_COUNT: duration_seconds,
        Field.PROMPT: token_count,
    }
    violations = [
        Violation(field, f"is {value}; send a finite number that is not negative")
        for field, value in named.items()
        if value is not None and (not math.isfinite(value) or value < 0)
    ]
    violations += [
        Violation(Field.PROMPT, f"has no characters {span.start} to {span.end}; take spans from its own clauses")
        for span in absent_nouns
        if not 0 <= span.start < span.end <= len(text)
    ]
    if violations:
        raise InvalidJob(*violations)
