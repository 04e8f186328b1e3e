"""Guidance and the solver's update as one graph. Knows the columns that ``engine.generate.schedule`` writes.

``matrix`` [3, 2 + order + B] @ rows of tensors, each flattened: next latents, this sample, this x0.
"""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import TensorProto, helper

from export.tracing.trace import OPSET_VERSION

_FLOAT = TensorProto.FLOAT


def write_guide_and_step(latent_shape: tuple[int, ...], order: int, file: Path) -> None:
    """Writes the graph for latents of ``latent_shape`` [1, z, T, h, w] and a solver of ``order``."""
    states = ["latents", "last_sample", *(f"x0_{back}" for back in range(1, order + 1))]
    outputs = ["next_latents", "sample", "x0"]
    whole = helper.make_tensor("whole", TensorProto.INT64, [len(latent_shape)], latent_shape)
    row = helper.make_tensor("row", TensorProto.INT64, [2], [0, -1])  # keep the first axis, flatten the rest
    nodes = [helper.make_node("Reshape", [name, "row"], [f"{name}_row"]) for name in (*states, "prediction")]
    nodes += [
        helper.make_node("Concat", [f"{name}_row" for name in (*states, "prediction")], ["rows"], axis=0),
        helper.make_node("MatMul", ["matrix", "rows"], ["results"]),
        helper.make_node("Split", ["results"], [f"{name}_row" for name in outputs], axis=0, num_outputs=3),
        *(helper.make_node("Reshape", [f"{name}_row", "whole"], [name]) for name in outputs),
    ]
    graph = helper.make_graph(
        nodes,
        "guide_and_step",
        [
            *(helper.make_tensor_value_info(name, _FLOAT, latent_shape) for name in states),
            helper.make_tensor_value_info("prediction", _FLOAT, ("batch", *latent_shape[1:])),
            helper.make_tensor_value_info("matrix", _FLOAT, (3, "columns")),
        ],
        [helper.make_tensor_value_info(name, _FLOAT, latent_shape) for name in outputs],
        [whole, row],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET_VERSION)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    partial = file.with_suffix(".partial")
    onnx.save(model, partial)
    partial.replace(file)
