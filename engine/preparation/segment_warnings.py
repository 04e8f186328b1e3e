"""Warnings about the sentences of a chain: how one was divided, and what is wrong with those of segments.

Only findings that make a sentence not worth generating are warnings: the others stand in the report of its match.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from engine.analysis.prompt.checks import issues_of
from engine.analysis.prompt.clauses import parse_clauses
from engine.analysis.prompt.draft import PromptSettings, draft
from engine.analysis.prompt.findings import finding_of
from engine.analysis.prompt.stages.division import DividedSentence, ordered_stage_count
from engine.api.job import Job
from engine.api.prompt_report import ClauseKind, Language, Severity

_LEAVES = re.compile(
    r"\b(?:out of|off|leav(?:es|e|ing)|exit(?:s|ing)?) the (?:frame|picture|shot|screen|image|view)\b"
    r"|\bout of (?:frame|view|shot|sight)\b|\boff-?screen\b"
    r"|出(?:了)?(?:画面|镜头|画框)|离开(?:了)?(?:画面|镜头)|消失在(?:画面|镜头)",
    re.IGNORECASE,
)
_RETURNS = re.compile(r"\b(?:back|returns?|re-?enters?|re-?appears?)\b|回来|返回|重新|再次出现", re.IGNORECASE)
_LONGEST_JUDGED = 800
_CONTRADICTION = "I15"  # a term of the negative prompt that the sentence asks for


def division_warnings(divided: DividedSentence) -> Iterator[str]:
    """A line about a sentence that was not divided into one stage for each segment."""
    segment_count = len(divided.prompts)
    if divided.undivided:
        yield (
            f"the sentence was not divided by its stages ({divided.undivided}), so that each of the {segment_count} "
            "segments has the whole sentence; send segments, each with a sentence of its own"
        )
    elif divided.stage_count == 1:
        yield (
            f"the sentence has one stage, so that each of the {segment_count} segments has the whole sentence; name "
            "further stages in order, with “then” or “然后”, or send segments"
        )
    elif divided.stage_count != segment_count:
        which = "; ".join(
            f"{_numbers('segment', segments)}: {_numbers('stage', stages)}" for segments, stages in _runs(divided)
        )
        yield f"the sentence has {divided.stage_count} stages for {segment_count} segments: {which}"


def segment_warnings(job: Job) -> Iterator[str]:
    """A line about each segment whose sentence is not worth generating, or holds several stages in order.

    Sentences above ``_LONGEST_JUDGED`` characters are left to the report of their match: a dozen take too long here.
    """
    for number, segment in enumerate(job.segments, 1):
        if len(segment.prompt) > _LONGEST_JUDGED:
            continue
        read = draft(segment.prompt, PromptSettings(negative_prompt=job.negative_prompt))
        for finding in (finding_of(issue, Language.EN) for issue in issues_of(read)):
            if finding.severity is Severity.ERROR or finding.code == _CONTRADICTION:
                yield f"segment {number}: {finding.message} {finding.suggestion}"
        count = ordered_stage_count(read)
        if count > 1:
            yield (
                f"segment {number}: its sentence tells {count} stages in order; a segment of its own for each of them "
                "is followed more closely"
            )


def exit_warnings(prompts: Sequence[str]) -> Iterator[str]:
    """A line about each segment whose subject leaves the picture, although the next segment is about the same one."""
    for number, (prompt, following) in enumerate(pairwise(prompts), 1):
        left = _LEAVES.search(prompt)
        if left and not _RETURNS.search(following) and _subjects_of(prompt) & _subjects_of(following):
            yield (
                f"segment {number}: its subject leaves the picture (“{left[0]}”), so that segment {number + 1} begins "
                "without it; let it stay, or tell how it comes back"
            )


def _subjects_of(prompt: str) -> set[str]:
    clauses = parse_clauses(prompt)
    return {noun.text.casefold() for clause in clauses if clause.kind is ClauseKind.SUBJECT for noun in clause.nouns}


def _runs(divided: DividedSentence) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """First and last segment, and first and last stage, of each run of segments with the same stages."""
    runs: list[tuple[tuple[int, int], tuple[int, int]]] = []
    for number, stages in enumerate(divided.stages, 1):
        if runs and runs[-1][1] == stages:
            runs[-1] = ((runs[-1][0][0], number), stages)
        else:
            runs.append(((number, number), stages))
    return runs


def _numbers(noun: str, ends: Sequence[int]) -> str:
    first, last = ends
    return f"{noun} {first}" if first == last else f"{noun}s {first} to {last}"
