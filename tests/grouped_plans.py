"""A tiny transformer as one graph and as three groups of blocks, with a fake plan for each group."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.bundle.graph_spec import EnginePart, GraphSpec
from export.tracing.assemble import build_graph, save_graph
from export.tracing.block_groups import split
from export.tracing.trace import Trace
from export.tracing.transformer import transformer_graph
from tests import fake_tensorrt
from tests.checkpoints import TinyModel, _transformer
from tests.planned_bundles import WEIGHT_BYTES, engine_spec

WHOLE = "transformer_high_64x48x9.onnx"
GROUP_COUNT = 3


@dataclass(frozen=True)
class GroupedTransformer:
    """``spec`` is the manifest's entry; the plans lie beside ``WHOLE`` in ``folder``."""

    folder: Path
    spec: GraphSpec
    inputs: dict[str, NDArray[Any]]

    @property
    def parts(self) -> tuple[EnginePart, ...]:
        return self.spec.engines[0].parts


def write_grouped(folder: Path) -> GroupedTransformer:
    model = _transformer(TinyModel(layer_count=4), z_dim=16)
    traced = transformer_graph(model, (3, 6, 8), expand_timesteps=False)
    traces: dict[str, Trace] = {}
    whole = save_graph(build_graph(traced, None, folder, traces), folder / WHOLE)
    parts = []
    for number, module in enumerate(split(traced, GROUP_COUNT), start=1):
        graph, plan = folder / f"group_{number}.onnx", folder / f"group_{number}.plan"
        described = save_graph(build_graph(module, None, folder, traces), graph)
        fake_tensorrt.write_plan(plan, graph, WEIGHT_BYTES)
        parts.append(
            EnginePart(
                file=plan.name,
                inputs=described.inputs,
                outputs=described.outputs,
                activation_bytes=fake_tensorrt.SCRATCH_BYTES,
                weight_bytes=WEIGHT_BYTES,
                plan_bytes=plan.stat().st_size,
            )
        )
    engine = engine_spec(parts[0].file, weight_bytes=GROUP_COUNT * WEIGHT_BYTES, parts=tuple(parts))
    spec = GraphSpec(
        stage="transformer_high",
        file=WHOLE,
        width_px=64,
        height_px=48,
        frame_count=9,
        inputs=whole.inputs,
        outputs=whole.outputs,
        max_abs_error=None,
        max_abs_value=None,
        engines=(engine,),
    )
    return GroupedTransformer(folder, spec, {name: tensor.numpy() for name, tensor in traced.inputs.items()})


def hidden_bytes(prediction_count: int) -> int:
    """Bytes of the hidden state in float32: tokens of 3 frames of 3 × 4, and the width of ``TinyModel``."""
    model = TinyModel()
    return prediction_count * 3 * 3 * 4 * model.head_count * model.head_size * np.dtype(np.float32).itemsize
