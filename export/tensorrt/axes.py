"""Open axes of the graphs by name, and the lengths that an engine is compiled for. Every other axis is fixed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.bundle.scorer_spec import MAX_PICTURE_COUNT, MAX_SENTENCE_COUNT
from engine.runtime.base import PROMPT_ROW_COUNTS

_PREDICTION = "prediction"  # an input of the solver alone


@dataclass(frozen=True, slots=True)
class AxisRange:
    """Shortest, tuned and longest length of an axis. An engine needs the memory of the longest."""

    lowest: int
    tuned: int
    highest: int

    def __post_init__(self) -> None:
        if not 1 <= self.lowest <= self.tuned <= self.highest:
            raise ValueError(f"{self} is not in order")


# Predictions of one transformer call: on a GPU the halves of guidance run one after the other.
BATCH = AxisRange(1, 1, 1)
# Predictions that the solver takes: two with guidance.
PREDICTIONS = AxisRange(1, 2, 2)
# Rows of text, in the lengths to which the engine pads them. A long prompt has some 120 tokens.
TEXT_ROWS = AxisRange(PROMPT_ROW_COUNTS[0], 128, PROMPT_ROW_COUNTS[-1])
# Rows of one call of the scorer: a lone request has one picture and some forty sentences.
PICTURES = AxisRange(1, 1, MAX_PICTURE_COUNT)
SENTENCES = AxisRange(1, 32, MAX_SENTENCE_COUNT)


def graph_axes(input_names: Sequence[str], batch: AxisRange = BATCH) -> Mapping[str, AxisRange]:
    """Ranges of a graph's open axes by name. ``batch`` is the number of predictions of a transformer's call.

    The solver's matrix has a column for each row of the other inputs (``export.tracing.guidance``): one row for each
    state, and one for each prediction.
    """
    if _PREDICTION in input_names:
        batch = PREDICTIONS
    state_count = max(len(input_names) - 2, 1)  # all but the prediction and the matrix
    columns = AxisRange(*(state_count + rows for rows in (batch.lowest, batch.tuned, batch.highest)))
    return {"batch": batch, "rows": TEXT_ROWS, "columns": columns, "pictures": PICTURES, "sentences": SENTENCES}
