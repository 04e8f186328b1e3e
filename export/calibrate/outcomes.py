"""Outcomes of clips, one JSON object a line: figures that were known, and whether the clip was good.

``python -m evaluation run`` writes them. Fields: ``success``; ``factors``, figures of pair and clip by name; ``group``,
what must not be on both sides of a held-out split (picture and sentence); ``arm``, the condition; ``is_matched``, true
for pairs without a fault; ``score``, 0..100; ``label_source``; ``right_remedy``; ``remedies``. A line
of ``score`` and ``success`` alone is an outcome with one figure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.api.diagnosis import RemedyKind
from engine.bundle.scorer_spec import LabelSource
from engine.matching.success import IDEAL
from export.calibrate.statistics import Labels, Values
from export.errors import ExportError

FEWEST_OUTCOMES, FEWEST_FAILURES = 200, 40


class Outcome(BaseModel):
    """One line. ``score``: match score before the clip, 0..100. ``group`` None: a group of its own."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    score: float = Field(ge=0, le=100)
    success: Annotated[bool, Field(strict=True)]
    factors: dict[str, Annotated[float, Field(allow_inf_nan=False)]] = {}
    group: str | None = None
    arm: str = ""
    is_matched: bool = False
    label_source: LabelSource | None = None
    right_remedy: RemedyKind | None = None
    remedies: tuple[Literal["match", "shorten", "picture", "guidance"], ...] = ()

    @property
    def figures(self) -> Mapping[str, float]:
        """The figures by name; the score alone where the line holds no others."""
        return self.factors or {"score": self.score / 100.0}


@dataclass(frozen=True)
class Outcomes:
    """All lines of a file; ``names``: the figures that each line holds, in the order of ``IDEAL``."""

    rows: tuple[Outcome, ...]
    names: tuple[str, ...]

    @property
    def successes(self) -> Labels:
        """True for good clips, [lines]."""
        return np.array([item.success for item in self.rows], bool)

    @property
    def groups(self) -> tuple[str, ...]:
        """The group of each line."""
        return tuple(f"line {place}" if row.group is None else row.group for place, row in enumerate(self.rows))

    @property
    def label_source(self) -> LabelSource | None:
        """The source of the labels, None unless all lines name the same."""
        sources = {item.label_source for item in self.rows}
        return sources.pop() if len(sources) == 1 else None

    def values(self, names: tuple[str, ...]) -> Values:
        """Figures, [lines, names]."""
        return np.array([[row.figures[name] for name in names] for row in self.rows], np.float64)


def read_outcomes(path: Path) -> Outcomes:
    """Reads a file of outcomes. Raises ``ExportError`` naming line and field."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ExportError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ExportError(
            f"{path} is not text in UTF-8; give the file that `python -m evaluation run` wrote"
        ) from error
    rows = [_outcome(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not rows:
        raise ExportError(f"{path} holds no outcomes; give the file that `python -m evaluation run` wrote")
    return outcomes_of(rows, str(path))


def outcomes_of(rows: list[Outcome], where: str = "outcomes") -> Outcomes:
    """Outcomes of which each holds the same figures. Raises ``ExportError`` naming the first that does not."""
    names = frozenset(rows[0].figures)
    for number, row in enumerate(rows, 1):
        other = names.symmetric_difference(row.figures)
        if other:
            raise ExportError(
                f"{where}, outcome {number}: factors: {min(other)!r} is in some outcomes and missing in others; fit on "
                "outcomes of one version"
            )
    return Outcomes(tuple(rows), tuple(name for name in IDEAL if name in names))


def check_amount(outcomes: Outcomes) -> None:
    """Raises ``ExportError`` for fewer outcomes or failures than a reliable fit needs."""
    count = len(outcomes.rows)
    successes = int(outcomes.successes.sum())
    if count < FEWEST_OUTCOMES or min(successes, count - successes) < FEWEST_FAILURES:
        raise ExportError(
            f"{count} outcomes with {count - successes} failures: {FEWEST_OUTCOMES} with {FEWEST_FAILURES} failures "
            "and as many successes are needed; until then the published figures are used"
        )


def _outcome(path: Path, number: int, line: str) -> Outcome:
    try:
        outcome = Outcome.model_validate(json.loads(line))
    except (ValueError, ValidationError) as error:
        first = error.errors(include_url=False)[0] if isinstance(error, ValidationError) else None
        what = f"{'.'.join(map(str, first['loc'])) or 'the line'}: {first['msg']}" if first else "is not JSON"
        raise ExportError(f"{path}, line {number}: {what}") from error
    unknown = next((name for name in outcome.factors if name not in IDEAL), None)
    if unknown is not None:
        raise ExportError(
            f"{path}, line {number}: factors.{unknown}: no figure has this name; fit with the version that wrote it"
        )
    return outcome
