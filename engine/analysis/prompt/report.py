"""Makes the prompt report: runs the checks, and rewrites the prompt if rules suffice."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from engine.analysis.prompt.acceptance import is_better
from engine.analysis.prompt.checks import issues_of
from engine.analysis.prompt.checks.pasted import silent_edits
from engine.analysis.prompt.clauses import in_prompt
from engine.analysis.prompt.draft import Draft, PromptSettings, draft
from engine.analysis.prompt.findings import Issue, finding_of
from engine.analysis.prompt.rewriting import rewrite
from engine.api.errors import InvalidJob, Violation
from engine.api.fields import Field
from engine.api.prompt_report import Language, ModelRange, PromptReport, Span

_LONGEST_REWRITTEN = 5_000  # characters; a longer rewriting would not be read
_LONGEST_TRIED_AGAIN = 2_000  # characters; a longer rewriting that fails is not tried with fewer replacements


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
    issues = issues_of(read)
    message_language = language or (Language.ZH if read.language is Language.ZH else Language.EN)
    rewritten, additions = _rewritten(read)
    findings = tuple(finding_of(_in_prompt(read, issue), message_language) for issue in issues)
    return PromptReport(read.language, in_prompt(read.clauses, read.source), findings, rewritten, additions)


def _in_prompt(read: Draft, issue: Issue) -> Issue:
    """An issue with its place in the prompt; one on the whole text has all of the prompt."""
    if issue.span is None:
        return issue
    if issue.span == Span(0, len(read.source.given.text)):
        return replace(issue, span=Span(0, len(read.source.prompt)))
    return replace(issue, span=read.source.given.in_prompt(issue.span))


def _rewritten(read: Draft) -> tuple[str | None, tuple[str, ...]]:
    """The rewritten prompt and the words it moved out; None if no set of replacements makes a better prompt."""
    given = read.source.given.text
    if len(given) > _LONGEST_REWRITTEN:
        return None, ()
    read = replace(read, settings=replace(read.settings, token_count=None, absent_nouns=()))  # of the original alone
    issues = issues_of(read)
    codes = list(dict.fromkeys(issue.code for issue in issues if issue.replacement is not None))
    silent = list(silent_edits(read))
    if not codes and not silent:
        return None, ()
    for chosen in _choices(codes) if len(given) <= _LONGEST_TRIED_AGAIN else [frozenset(codes)]:
        made = [issue for issue in issues if issue.code in chosen]
        text = rewrite(given, [*made, *silent], read.language)
        if text and text != given:
            again = draft(text, read.settings)
            if is_better(read, issues, again, issues_of(again)):
                moved = (word for issue in issues for word in issue.additions if issue in made or word not in text)
                return text, tuple(dict.fromkeys(moved))
    return None, ()


def _choices(codes: Sequence[str]) -> Iterator[frozenset[str]]:
    """All findings with a replacement, all but one, one alone."""
    yield frozenset(codes)
    if len(codes) > 1:
        yield from (frozenset(codes) - {code} for code in reversed(codes))
    if len(codes) > 2:
        yield from (frozenset({code}) for code in codes)


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
