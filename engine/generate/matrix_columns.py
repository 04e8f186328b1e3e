"""Columns of the matrix of a denoising step, and the velocity as a row over them.

====================  =============================================================
columns               latents, last sample, x0 one step ago ... ``order`` steps ago,
                      kept velocity of the last and of the last but one computed
                      step, kept guidance, prediction with prompt, prediction with
                      negative prompt
====================  =============================================================

Graphs of earlier exports keep nothing; the last column exists only if a job is guided. The *velocity* is what moves the
latents: the prediction, or with guidance ``scale * with prompt + (1 - scale) * without`` (Ho and Salimans 2022). The
*guidance* is the difference of the two predictions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.bundle.graph_spec import GraphSpec

Row = NDArray[np.float64]
KEPT_NAMES = ("velocity_1", "velocity_2", "guidance")
"""Names of the kept tensors in the graph ``guide_and_step``."""


@dataclass(frozen=True, slots=True)
class MatrixColumns:
    """``prediction_count`` is 2 if any step of the job is guided, else 1. ``keeps``: the graph has kept tensors."""

    order: int
    prediction_count: int
    keeps: bool = False

    @property
    def count(self) -> int:
        """Number of columns."""
        return 2 + self.order + self._kept_count + self.prediction_count

    @property
    def row_count(self) -> int:
        """Rows of the matrix: next latents, this sample, this x0, and the kept tensors."""
        return 3 + self._kept_count

    @property
    def latents(self) -> Row:
        """The latents that the step begins with."""
        return self._unit(0)

    @property
    def last_sample(self) -> Row:
        """The corrected sample of the step before."""
        return self._unit(1)

    @property
    def history(self) -> list[Row]:
        """x0 of 1, 2, ... steps ago."""
        return [self._unit(2 + index) for index in range(self.order)]

    @property
    def kept(self) -> tuple[Row, Row, Row]:
        """The kept tensors, in the order of ``KEPT_NAMES``."""
        first = 2 + self.order
        return self._unit(first), self._unit(first + 1), self._unit(first + 2)

    def velocity(self, guidance_scale: float) -> Row:
        """The velocity by the predictions of this step."""
        with_prompt = self._prediction(0)
        if guidance_scale <= 1.0:
            return with_prompt
        return guidance_scale * with_prompt + (1.0 - guidance_scale) * self._prediction(1)

    def guidance(self, guidance_scale: float) -> Row:
        """The guidance by the predictions of this step; zeros without guidance."""
        if guidance_scale <= 1.0:
            return np.zeros(self.count)
        return self._prediction(0) - self._prediction(1)

    def velocity_with_kept_guidance(self, guidance_scale: float) -> Row:
        """The velocity by this step's prediction with the prompt and the kept guidance."""
        return self._prediction(0) + (guidance_scale - 1.0) * self.kept[2]

    def kept_velocity(self, extrapolation: float) -> Row:
        """The velocity on the line through the kept ones.

        ``extrapolation``: distance from the last one in units of the distance of both; 0 repeats the last one.
        """
        last, before, _ = self.kept
        return last + extrapolation * (last - before)

    @property
    def _kept_count(self) -> int:
        return len(KEPT_NAMES) if self.keeps else 0

    def _prediction(self, index: int) -> Row:
        return self._unit(2 + self.order + self._kept_count + index)

    def _unit(self, index: int) -> Row:
        row = np.zeros(self.count)
        row[index] = 1.0
        return row


def keeps_tensors(guide_and_step: GraphSpec) -> bool:
    """True if the graph keeps velocities and guidance for later steps; those of earlier exports do not."""
    return any(item.name == KEPT_NAMES[0] for item in guide_and_step.inputs)
