"""Runs a graph that was just written against torch. Knows ONNX Runtime; knows no model.

A component that does not fit memory is not compared: the graph of one block, at every size that fits, comes from the
same code. The manifest says for each graph whether it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from engine.bundle.graph_spec import Precision, TensorSpec
from export.errors import ExportError
from export.tracing.assemble import TracedModule

# Relative to the largest value: float32 arithmetic in another order, through some dozens of layers.
TOLERANCE = 1e-3
# The same against torch in float32, for graphs in other precisions: wide enough for rounding, too narrow for a graph
# that is wrong. What rounding costs a clip is measured elsewhere.
TOLERANCES: Mapping[Precision, float] = {
    "fp32": TOLERANCE,
    "fp16": 0.03,
    "bf16": 0.15,
    "int8": 0.3,
    "fp8": 0.4,
    "int4": 0.6,
}
# Weights in float32 and values of one call, above which a component is not run beside torch unless asked for.
LIMIT_BYTES = 2 * 1024**3
_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(bfloat16)": "bfloat16",
    "tensor(int64)": "int64",
}


class NotRunnable(Exception):
    """ONNX Runtime lacks a kernel for this precision on this machine."""


@dataclass(frozen=True)
class Verified:
    """Inputs and outputs of a graph, and its largest error and value; None where it was not compared."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    max_abs_error: float | None
    max_abs_value: float | None


def is_small(traced: TracedModule) -> bool:
    """Whether a module on the meta device, and its example, can be run here as float32."""
    tensors = (*traced.module.parameters(), *traced.inputs.values())
    return 4 * sum(tensor.numel() for tensor in tensors) <= LIMIT_BYTES


def verify_against_torch(file: Path, traced: TracedModule, precision: Precision = "fp32") -> Verified:
    """Runs the example through graph and torch in float32. Raises ``ExportError`` where they disagree."""
    inputs = {name: tensor.numpy() for name, tensor in traced.inputs.items()}
    expected = {name: tensor.numpy() for name, tensor in zip(traced.output_names, traced.reference(), strict=True)}
    return verify_against(file, inputs, expected, TOLERANCES[precision])


def verify_against(
    file: Path,
    inputs: Mapping[str, NDArray[np.generic]],
    expected: Mapping[str, NDArray[np.float32]],
    tolerance: float = TOLERANCE,
) -> Verified:
    """Runs given inputs through a graph and compares with given outputs, by name."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # it remarks on each half-precision node that it cannot fold
    try:
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    except onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented as fault:
        raise NotRunnable(f"ONNX Runtime has no such kernel on the CPU, so it was not compared ({fault})") from fault
    given = {node.name: inputs[node.name].astype(_DTYPES[node.type], copy=False) for node in session.get_inputs()}
    actual = [output.astype(np.float32) for output in session.run(list(expected), given)]
    error = max(float(np.abs(ours - theirs).max()) for ours, theirs in zip(actual, expected.values(), strict=True))
    value = max(float(np.abs(theirs).max()) for theirs in expected.values())
    if not error <= tolerance * max(value, 1.0):
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
