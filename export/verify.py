"""Runs a graph that was just written against torch. Knows ONNX Runtime; knows no model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from engine.bundle import TensorSpec
from export.errors import ExportError
from export.graph import TracedModule

# Relative to the largest value: float32 arithmetic in another order, through some dozens of layers.
TOLERANCE = 1e-3
_DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(int64)": "int64"}


@dataclass(frozen=True)
class Verified:
    """Inputs and outputs of a graph as the runtime sees them, and its largest error and value."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    max_abs_error: float
    max_abs_value: float


def verify_against_torch(file: Path, traced: TracedModule) -> Verified:
    """Runs the example through graph and torch. Raises ``ExportError`` where they disagree."""
    inputs = {name: tensor.numpy() for name, tensor in traced.inputs.items()}
    expected = {name: tensor.numpy() for name, tensor in zip(traced.output_names, traced.reference(), strict=True)}
    return verify_against(file, inputs, expected)


def verify_against(
    file: Path, inputs: Mapping[str, NDArray[np.generic]], expected: Mapping[str, NDArray[np.float32]]
) -> Verified:
    """Runs given inputs through a graph and compares with given outputs, by name."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    actual = session.run(list(expected), dict(inputs))
    error = max(float(np.abs(ours - theirs).max()) for ours, theirs in zip(actual, expected.values(), strict=True))
    value = max(float(np.abs(theirs).max()) for theirs in expected.values())
    if not error <= TOLERANCE * max(value, 1.0):
        raise ExportError(
            f"{file.name} differs from torch by {error:.3g} at values up to {value:.3g}: the graph is wrong, "
            "nothing was written to the manifest"
        )
    return Verified(_specs(session.get_inputs()), _specs(session.get_outputs()), error, value)


def _specs(nodes: list[onnxruntime.NodeArg]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec.model_validate({"name": node.name, "dtype": _DTYPES[node.type], "shape": tuple(node.shape)})
        for node in nodes
    )
