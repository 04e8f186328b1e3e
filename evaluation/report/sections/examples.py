"""The article's sentences, scored on pictures that fit."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from evaluation.report.evidence import Evidence
from evaluation.report.section import Section, missing
from evaluation.report.wording import percent, table
from evaluation.side_files import EXAMPLES_NAME, Example


def examples_section(evidence: Evidence) -> Section:
    """One row for each sentence in the article's order, and whether the scores have that order."""
    name = "The article's sentences"
    examples = evidence.examples
    if not examples:
        return missing(name, f"the folder of the run holds no `{EXAMPLES_NAME}`.")
    rows = [[item.sentence, item.picture, f"{item.score:.0f}", percent(item.chance)] for item in examples]
    text = f"In the article's order, the best first. {_order(examples)}\n\n"
    return Section(name, text + table(["sentence", "picture", "score", "chance"], rows))


def _order(examples: Sequence[Example]) -> str:
    wrong = [(first, second) for first, second in pairwise(examples) if first.score < second.score]
    if not wrong:
        return "The scores have the same order."
    first, second = wrong[0]
    return (
        f"The scores have another order: “{second.sentence}” scores {second.score:.1f}, more than "
        f"“{first.sentence}” with {first.score:.1f}."
    )
