"""Guidance, the solver's update and reuse of steps as one graph.

``matrix`` [6, 2 + order + 3 + B] @ rows of tensors, each flattened: next latents, this sample, this x0, and what is
kept for later steps; ``engine.generate.matrix_columns`` describes the columns. ``magnitude`` [1] is the mean of their
absolute values: not finite if one of them is not, so that the engine reads four bytes to know.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from engine.generate.matrix_columns import KEPT_NAMES, MatrixColumns
from export.atomic_file import replacing
from export.tracing.assemble import GraphDescription
from export.tracing.trace import OPSET_VERSION
from export.tracing.verify import verify_against

_FLOAT = TensorProto.FLOAT
_RESULTS = ("next_latents", "sample", "x0", *(f"next_{name}" for name in KEPT_NAMES))


def write_guide_and_step(latent_shape: tuple[int, ...], order: int, file: Path) -> None:
    """Writes the graph for latents of ``latent_shape`` [1, z, T, h, w] and a solver of ``order``."""
    states = _state_names(order)
    whole = helper.make_tensor("whole", TensorProto.INT64, [len(latent_shape)], latent_shape)
    row = helper.make_tensor("row", TensorProto.INT64, [2], [0, -1])  # keep the first axis, flatten the rest
    flat = helper.make_tensor("flat", TensorProto.INT64, [1], [-1])
    first = helper.make_tensor("first", TensorProto.INT64, [1], [0])
    nodes = [helper.make_node("Reshape", [name, "row"], [f"{name}_row"]) for name in (*states, "prediction")]
    nodes += [
        helper.make_node("Concat", [f"{name}_row" for name in (*states, "prediction")], ["rows"], axis=0),
        helper.make_node("MatMul", ["matrix", "rows"], ["results"]),
        helper.make_node("Split", ["results"], [f"{name}_row" for name in _RESULTS], axis=0, num_outputs=len(_RESULTS)),
        *(helper.make_node("Reshape", [f"{name}_row", "whole"], [name]) for name in _RESULTS),
        helper.make_node("Reshape", ["results", "flat"], ["values"]),
        # A sum is NaN where a term is; a maximum need not be.
        helper.make_node("Abs", ["values"], ["magnitudes"]),
        helper.make_node("ReduceMean", ["magnitudes", "first"], ["magnitude"], keepdims=1),
    ]
    graph = helper.make_graph(
        nodes,
        "guide_and_step",
        [
            *(helper.make_tensor_value_info(name, _FLOAT, latent_shape) for name in states),
            helper.make_tensor_value_info("prediction", _FLOAT, ("batch", *latent_shape[1:])),
            helper.make_tensor_value_info("matrix", _FLOAT, (len(_RESULTS), "columns")),
        ],
        [
            *(helper.make_tensor_value_info(name, _FLOAT, latent_shape) for name in _RESULTS),
            helper.make_tensor_value_info("magnitude", _FLOAT, [1]),
        ],
        [whole, row, flat, first],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET_VERSION)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    with replacing(file) as partial:
        onnx.save(model, partial)


def verify_guide_and_step(latent_shape: tuple[int, ...], order: int, file: Path) -> GraphDescription:
    """Compares the graph with numpy on drawn tensors and a drawn matrix. Raises ``ExportError``."""
    generator = np.random.default_rng(0)
    inputs = {name: generator.standard_normal(latent_shape, dtype=np.float32) for name in _state_names(order)}
    inputs["prediction"] = generator.standard_normal((2, *latent_shape[1:]), dtype=np.float32)
    columns = MatrixColumns(order, prediction_count=2, keeps=True)
    matrix = generator.standard_normal((columns.row_count, columns.count), dtype=np.float32)
    rows = np.concatenate([item.reshape(len(item), -1) for item in inputs.values()])
    results = (matrix @ rows).reshape(len(_RESULTS), *latent_shape)
    expected = {**dict(zip(_RESULTS, results, strict=True)), "magnitude": np.abs(results).mean(keepdims=True).ravel()}
    return verify_against(file, {**inputs, "matrix": matrix}, expected)


def _state_names(order: int) -> list[str]:
    return ["latents", "last_sample", *(f"x0_{back}" for back in range(1, order + 1)), *KEPT_NAMES]
