"""Divides a sentence by its stages into the sentences of segments.

"A fox first looks up, then runs away, snow" in two: "A fox looks up, snow." and "A fox runs away, snow."
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from engine.analysis.prompt.checks.subject import check_subject
from engine.analysis.prompt.draft import PromptSettings, draft
from engine.analysis.prompt.rewriting import rewrite
from engine.analysis.prompt.stages.numbering import number_pieces
from engine.analysis.prompt.stages.pieces import cut_pieces
from engine.analysis.prompt.stages.roles import staged_sentence
from engine.analysis.prompt.stages.wording import Unworded, word_stages
from engine.api.prompt_report import Language

# "The video shows a woman who …": the sentence begins with the woman.
_SHOWN = re.compile(
    r"(?:(?:the|this|a) )?(?:video|clip|animation|scene|picture|image) (?:shows|depicts|features) ", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class DividedSentence:
    """``prompts`` are the sentences of the segments, ``stages`` the first and the last stage of each, from 1.

    ``undivided``: why every segment has the whole sentence although it has several stages, as a clause; else empty.
    """

    prompts: tuple[str, ...]
    stages: tuple[tuple[int, int], ...]
    stage_count: int
    undivided: str = ""


def divide_sentence(prompt: str, weights: Sequence[int]) -> DividedSentence:
    """The sentences of segments; ``weights`` are the lengths of the segments.

    With more stages than segments neighbours share a segment, with fewer a stage spans several, each with its sentence.
    A sentence that has one stage, or that cannot be divided with certainty, is that of every segment.
    """
    read = draft(prompt, PromptSettings())
    whole = (prompt,) * len(weights)
    if read.language is Language.OTHER:
        return DividedSentence(whole, ((1, 1),) * len(weights), 1, "it is neither English nor Chinese")
    if shown := _SHOWN.match(read.text):
        read = draft(read.text[shown.end() :], PromptSettings())
    is_order = bool(read.words) and read.words[0].is_in("order")
    if is_order:
        read = draft(rewrite(read.text, list(check_subject(read)), read.language), PromptSettings())
    sentence = replace(staged_sentence(read, number_pieces(cut_pieces(read))), is_order=is_order)
    count = sentence.stage_count
    if count < 2:
        return DividedSentence(whole, ((1, 1),) * len(weights), 1)
    stages = spread(count, weights)
    try:
        prompts = tuple(_capital(prompt, word_stages(sentence, first, last)) for first, last in stages)
    except Unworded as error:
        return DividedSentence(whole, ((1, count),) * len(weights), count, str(error))
    return DividedSentence(prompts, stages, count)


def spread(stage_count: int, weights: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """The first and the last stage of each segment, from 1: stages of about equal length, each shown at least once.

    >>> spread(2, [81, 76, 4])
    ((1, 1), (2, 2), (2, 2))
    """
    segment_count, whole = len(weights), sum(weights)
    ends = list(accumulate(weights))
    if stage_count >= segment_count:
        borders = [0]
        for index in range(1, segment_count):
            wanted = round(stage_count * ends[index - 1] / whole)
            borders.append(min(max(wanted, borders[-1] + 1), stage_count - segment_count + index))
        return tuple((start + 1, end) for start, end in zip(borders, [*borders[1:], stage_count], strict=True))
    starts = [0]  # the segment with which each stage begins
    for stage in range(1, stage_count):
        possible = range(starts[-1] + 1, segment_count - stage_count + stage + 1)
        starts.append(min(possible, key=lambda segment: abs(ends[segment - 1] - stage * whole / stage_count)))
    numbers = [sum(start <= segment for start in starts) for segment in range(segment_count)]
    return tuple((number, number) for number in numbers)


def _capital(prompt: str, text: str) -> str:
    """A text that begins with a capital if the prompt does."""
    first = next((letter for letter in prompt if letter.isalpha()), "")
    return text[:1].upper() + text[1:] if first.isupper() else text


def ordered_stage_count(prompt: str) -> int:
    """Number of stages of a sentence that puts them in order, with words, marks of time or arrows; else 1."""
    read = draft(prompt, PromptSettings())
    if read.language is Language.OTHER:
        return 1
    pieces = number_pieces(cut_pieces(read))
    is_ordered = any(piece.is_ordered or piece.is_divided for piece in pieces[1:])
    return max(staged_sentence(read, pieces).stage_count, 1) if is_ordered else 1
