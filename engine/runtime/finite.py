"""Finds NaN and infinity in what graphs compute."""

from __future__ import annotations

import numpy as np

from engine.api.errors import GraphFailed
from engine.bundle.graph_spec import GraphSpec
from engine.runtime.base import Array, Tensor


class NonFiniteOutput(GraphFailed):
    """A graph computed NaN or infinity. ``step``, from 1, of ``step_count`` while denoising, else both 0."""

    def __init__(self, spec: GraphSpec, step: int = 0, step_count: int = 0) -> None:
        self.spec = spec
        self.step = step
        self.step_count = step_count
        super().__init__(f"graph {spec.file} computed NaN or infinity")


def is_finite(array: Array) -> bool:
    """True if no value is NaN or infinite."""
    return bool(np.isfinite(array).all())


def finite_host_copy(tensor: Tensor, spec: GraphSpec) -> Array:
    """A copy of an output of the graph. Raises ``NonFiniteOutput``."""
    array = tensor.to_host()
    if not is_finite(array):
        raise NonFiniteOutput(spec)
    return array
