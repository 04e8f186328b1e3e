"""A small graph in three groups, with a fake plan for each, whose results can be computed by hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from engine.bundle.graph_spec import EnginePart, GraphSpec, TensorDtype, TensorSpec
from tests import fake_tensorrt
from tests.planned_bundles import WEIGHT_BYTES, engine_spec

WIDTH, ROWS = 100, 5
_HEAD = '<ir_version: 10, opset_import: ["" : 20]> g '
_HIDDEN, _TEXT = f"float[batch, {WIDTH}]", f"float16[batch, rows, {WIDTH}]"
_GRAPHS = {
    "group_1": f"(float[1, {WIDTH}] latents, float[batch, rows, {WIDTH}] prompt_embeds) => "
    f"({_HIDDEN} hidden_1, {_TEXT} text) <int64[1] axes = {{1}}> "
    "{ text = Cast<to = 10>(prompt_embeds) sums = ReduceSum<keepdims = 0>(prompt_embeds, axes) "
    "hidden_1 = Add(latents, sums) }",
    "group_2": f"({_HIDDEN} hidden_1, {_TEXT} text) => ({_HIDDEN} hidden_2) <int64[1] axes = {{1}}> "
    "{ wide = Cast<to = 1>(text) sums = ReduceSum<keepdims = 0>(wide, axes) hidden_2 = Mul(hidden_1, sums) }",
    "group_3": f"({_HIDDEN} hidden_2, {_TEXT} text) => ({_HIDDEN} prediction) <int64[1] axes = {{1}}> "
    "{ wide = Cast<to = 1>(text) sums = ReduceSum<keepdims = 0>(wide, axes) prediction = Sub(hidden_2, sums) }",
}


@dataclass(frozen=True)
class GroupedGraph:
    """``spec`` is the manifest's entry; its plans lie in ``folder``."""

    folder: Path
    spec: GraphSpec

    @property
    def parts(self) -> tuple[EnginePart, ...]:
        return self.spec.engines[0].parts


def write_grouped(folder: Path) -> GroupedGraph:
    parts = []
    for name, text in _GRAPHS.items():
        graph, plan = folder / f"{name}.onnx", folder / f"{name}.plan"
        model = onnx.parser.parse_model(_HEAD + text)
        onnx.save(model, graph)
        fake_tensorrt.write_plan(plan, graph, WEIGHT_BYTES)
        parts.append(
            EnginePart(
                file=plan.name,
                inputs=tuple(map(_tensor, model.graph.input)),
                outputs=tuple(map(_tensor, model.graph.output)),
                activation_bytes=fake_tensorrt.SCRATCH_BYTES,
                weight_bytes=WEIGHT_BYTES,
                plan_bytes=plan.stat().st_size,
            )
        )
    engine = engine_spec(parts[0].file, weight_bytes=len(parts) * WEIGHT_BYTES, parts=tuple(parts))
    spec = GraphSpec(
        stage="transformer_high",
        file="whole.onnx",
        inputs=parts[0].inputs,
        outputs=parts[-1].outputs,
        max_abs_error=None,
        max_abs_value=None,
        engines=(engine,),
    )
    return GroupedGraph(folder, spec)


def whole_numbers(batch: int) -> dict[str, NDArray[Any]]:
    """Inputs whose sums and products are exact in half precision."""
    draw = np.random.default_rng(0)
    return {
        "latents": draw.integers(0, 9, (1, WIDTH)).astype(np.float32),
        "prompt_embeds": draw.integers(0, 9, (batch, ROWS, WIDTH)).astype(np.float32),
    }


def prediction_of(inputs: dict[str, NDArray[Any]]) -> NDArray[Any]:
    """``(latents + sums) * sums - sums`` with the sums of the prompt's rows."""
    sums = inputs["prompt_embeds"].sum(axis=1)
    return np.asarray((inputs["latents"] + sums) * sums - sums)


def _tensor(info: onnx.ValueInfoProto) -> TensorSpec:
    tensor = info.type.tensor_type
    dtypes: dict[int, TensorDtype] = {onnx.TensorProto.FLOAT: "float32", onnx.TensorProto.FLOAT16: "float16"}
    shape = tuple(axis.dim_param or axis.dim_value for axis in tensor.shape.dim)
    return TensorSpec(name=info.name, dtype=dtypes[tensor.elem_type], shape=shape)
