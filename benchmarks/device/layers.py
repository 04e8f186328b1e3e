"""Step 4: blocks of the expert's width, exported, in the engine's ONNX Runtime, and torch over the same weights."""

from __future__ import annotations

import functools
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from safetensors.torch import save_file
from torch import Tensor

from benchmarks.device.attempts import Attempts
from benchmarks.device.device_runtime import device_runtime
from benchmarks.device.expert import drawn_expert, expert_inputs, expert_module_graph, run_module_graph
from benchmarks.device.graph_calls import timed_call
from benchmarks.device.measure import memory_of, relative_difference, seconds_of
from benchmarks.device.sizes import Sizes, sizes
from benchmarks.device.steps import Setting
from engine.api.errors import DeviceUnavailable
from engine.bundle.graph_spec import GraphSpec
from engine.runtime.base import Array, Graph, Runtime
from export.tracing.assemble import export_graph
from export.tracing.transformer import transformer_graph
from export.weights.parameters import ParameterIndex, without_weights
from export.weights.shards import Shards

_LAYER_COUNT = 8
_REPEATS = 3


def run(setting: Setting, attempts: Attempts) -> None:
    """Seconds of a forward on either side, and the difference."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            runtime = device_runtime(setting, Path(folder), "onnxruntime")
        except DeviceUnavailable as error:
            attempts.leave_out("all", str(error))
            return
        _measure(setting, attempts, runtime, Path(folder))


def _measure(setting: Setting, attempts: Attempts, runtime: Runtime, folder: Path) -> None:
    torch.set_grad_enabled(False)
    size = sizes(setting.is_tiny)
    attempts.machine("layers_runtime", runtime.name)
    layer_count = min(_LAYER_COUNT, int(size.expert["num_layers"]))
    attempts.figure("layer_count", layer_count)
    attempts.figure("latent_frame_count", size.latent_frame_count)
    attempts.figure("token_count", size.token_count)
    model = drawn_expert(size, torch.float16, setting.device, num_layers=layer_count)
    inputs = expert_inputs(size, size.latent_shape, setting.device, 1)
    graph = expert_module_graph(model, size.latent_shape, setting.device)
    with memory_of(setting.device) as memory:
        expected = run_module_graph(graph, inputs)
    attempts.figure(
        "torch_seconds", seconds_of(functools.partial(run_module_graph, graph, inputs), setting.device, _REPEATS)
    )
    attempts.figure("torch_scratch_bytes", memory.added_bytes)
    started = time.perf_counter()
    spec = _export(size, layer_count, model, folder)
    attempts.figure("export_seconds", time.perf_counter() - started)
    del model, graph
    if setting.device == "cuda":
        torch.cuda.empty_cache()
    names = [item.name for item in spec.inputs]
    arrays = {name: tensor.cpu().numpy() for name, tensor in zip(names, inputs, strict=True)}
    load = functools.partial(runtime.load, folder, spec)
    attempts.attempt("onnxruntime", 20, functools.partial(_run_graph, attempts, runtime, load, arrays, expected.cpu()))


def _export(size: Sizes, layer_count: int, model: Any, folder: Path) -> GraphSpec:
    weights = {name: parameter.cpu().contiguous() for name, parameter in model.named_parameters()}
    stored = folder / "weights.safetensors"
    save_file(weights, stored)
    config = {**size.expert, "num_layers": layer_count}
    empty = without_weights(lambda: WanTransformer3DModel(**config), torch.float16)
    file = folder / "transformer.onnx"
    description = export_graph(
        transformer_graph(empty, size.latent_shape, expand_timesteps=False),
        ParameterIndex(empty, Shards.of_file(stored).weights),
        file,
    )
    return GraphSpec(
        stage="transformer_high",
        file=file.name,
        precision="fp16",
        inputs=description.inputs,
        outputs=description.outputs,
        max_abs_error=None,
        max_abs_value=None,
    )


def _run_graph(
    attempts: Attempts, runtime: Runtime, load: Callable[[], Graph], arrays: Mapping[str, Array], expected: Tensor
) -> None:
    before = runtime.memory_bytes()
    started = time.perf_counter()
    graph = load()
    attempts.figure("open_seconds", time.perf_counter() - started)
    outputs, first_seconds = timed_call(runtime, graph, arrays)
    (result,) = outputs.values()
    attempts.figure("onnxruntime_first_seconds", first_seconds)
    attempts.figure("onnxruntime_added_bytes", max(runtime.memory_bytes() - before, 1))
    seconds = statistics.median(timed_call(runtime, graph, arrays)[1] for _ in range(_REPEATS))
    attempts.figure("onnxruntime_seconds", seconds)
    attempts.figure("difference", max(relative_difference(torch.from_numpy(result), expected), 1e-12))
