"""Compares a written graph with torch, by running the same inputs through ONNX Runtime and through torch.

A component that does not fit memory is not compared; its graph comes from the same code as the graphs of smaller
checkpoints that are. The manifest states for each graph whether it was compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from engine.bundle.graph_spec import Precision, TensorSpec
from engine.host.processors import Processors
from export.errors import ExportError
from export.tracing.assemble import GraphDescription
from export.tracing.module_graph import TracedModule

# Largest error relative to the largest value: float32 sums in another order, through dozens of layers.
TOLERANCE = 1e-3
# Tolerances of graphs in other precisions against torch in float32: wide enough for rounding, too narrow for a wrong
# graph. docs/precision.md measures the cost of rounding for a clip.
TOLERANCES: Mapping[Precision, float] = {
    "fp32": TOLERANCE,
    "fp16": 0.03,
    "bf16": 0.15,
    "int8": 0.3,
    "fp8": 0.4,
    "int4": 0.6,
}
# Float32 weights and inputs of one call, above which a component is compared only with --verify always.
LIMIT_BYTES = 2 * 1024**3
_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(bfloat16)": "bfloat16",
    "tensor(int64)": "int64",
}


class NotRunnable(Exception):
    """ONNX Runtime has no kernel for this precision on the CPU."""


def is_small(traced: TracedModule) -> bool:
    """True if the module's weights and example inputs fit ``LIMIT_BYTES`` in float32."""
    tensors = (*traced.module.parameters(), *traced.inputs.values())
    return 4 * sum(tensor.numel() for tensor in tensors) <= LIMIT_BYTES


def verify_against_torch(file: Path, traced: TracedModule, precision: Precision = "fp32") -> GraphDescription:
    """Compares a graph with torch in float32 on the example inputs. Raises ``ExportError`` or ``NotRunnable``."""
    return verify_against(file, *_example(traced), TOLERANCES[precision])


def verify_chain(files: Sequence[Path], traced: TracedModule, precision: Precision = "fp32") -> float:
    """Compares graphs that run one after another, and pass values on by name, with the whole module in torch.

    Returns the largest error. Raises as ``verify_against_torch``.
    """
    inputs, expected = _example(traced)
    values = dict(inputs)
    for file in files:
        session = _open(file)
        values |= _run(session, values)
    return _compare(" and ".join(file.name for file in files), values, expected, TOLERANCES[precision])[0]


def verify_against(
    file: Path,
    inputs: Mapping[str, NDArray[np.generic]],
    expected: Mapping[str, NDArray[np.float32]],
    tolerance: float = TOLERANCE,
) -> GraphDescription:
    """Runs inputs through a graph and compares its outputs, by name. Raises ``ExportError`` or ``NotRunnable``."""
    session = _open(file)
    error, value = _compare(file.name, _run(session, inputs), expected, tolerance)
    return GraphDescription(_specs(session.get_inputs()), _specs(session.get_outputs()), error, value)


def _example(traced: TracedModule) -> tuple[dict[str, NDArray[np.generic]], dict[str, NDArray[np.float32]]]:
    """The example inputs and what torch computes for them."""
    inputs = {name: tensor.numpy() for name, tensor in traced.inputs.items()}
    expected = {name: tensor.numpy() for name, tensor in zip(traced.output_names, traced.reference(), strict=True)}
    return inputs, expected


def _run(
    session: onnxruntime.InferenceSession, values: Mapping[str, NDArray[np.generic]]
) -> dict[str, NDArray[np.generic]]:
    """The outputs for those of the values that are inputs, in the types that the graph takes."""
    given = {node.name: values[node.name].astype(_DTYPES[node.type], copy=False) for node in session.get_inputs()}
    names = [node.name for node in session.get_outputs()]
    return dict(zip(names, session.run(names, given), strict=True))


def _compare(
    name: str, actual: Mapping[str, NDArray[np.generic]], expected: Mapping[str, NDArray[np.float32]], tolerance: float
) -> tuple[float, float]:
    """The largest error and the largest expected value. Raises ``ExportError`` for an error beyond the tolerance."""
    error = max(float(np.abs(actual[key].astype(np.float32) - value).max()) for key, value in expected.items())
    value = max(float(np.abs(theirs).max()) for theirs in expected.values())
    if not error <= tolerance * max(value, 1.0):
        raise ExportError(
            f"{name} differs from torch by {error:.3g} at values up to {value:.3g}: the graph is wrong, "
            "no manifest was written"
        )
    return error, value


def _open(file: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    processors = Processors.of_this_process()
    options.intra_op_num_threads = processors.count if processors.is_limited else 0
    options.log_severity_level = 3  # hides a remark on each half-precision node that is not folded
    try:
        return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    except onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented as fault:
        raise NotRunnable(f"not compared, ONNX Runtime has no such kernel on the CPU ({fault})") from fault


def _specs(nodes: list[onnxruntime.NodeArg]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec.from_dict({"name": node.name, "dtype": _DTYPES[node.type], "shape": tuple(node.shape)})
        for node in nodes
    )
