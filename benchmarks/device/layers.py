"""Step 4: blocks of the expert's width through this exporter and ONNX Runtime, and torch over the same weights.

ONNX Runtime does not fuse MatMul, Softmax and MatMul, so it holds the scores of every head: the clip is as long as they
let it be.
"""

from __future__ import annotations

import functools
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from safetensors.torch import save_file
from torch import Tensor

from benchmarks.device.attempts import Attempts
from benchmarks.device.expert import drawn_expert, expert_inputs, expert_module_graph, run_module_graph
from benchmarks.device.measure import memory_of, relative_difference, seconds_of
from benchmarks.device.sizes import Sizes, sizes
from benchmarks.device.steps import Setting
from export.tracing.assemble import export_graph
from export.tracing.transformer import transformer_graph
from export.weights.parameters import ParameterIndex, without_weights
from export.weights.shards import Shards

_LAYER_COUNT = 8
_SCORE_COPIES = 3  # the product, its softmax, and one more that an operator may want
_SCORE_SHARE = 0.5  # of the card's memory
_PROVIDERS = {"cuda": "CUDAExecutionProvider", "cpu": "CPUExecutionProvider"}
_OPTIONS: Mapping[str, Mapping[str, str]] = {
    "cuda": {"arena_extend_strategy": "kSameAsRequested", "use_tf32": "0"},
    "cpu": {},
}
_REPEATS = 3


def run(setting: Setting, attempts: Attempts) -> None:
    """Seconds of a forward on either side, and the difference."""
    provider = _PROVIDERS[setting.device]
    if provider not in onnxruntime.get_available_providers():
        attempts.leave_out("all", f"onnxruntime {onnxruntime.__version__} here has no {provider}")
        return
    torch.set_grad_enabled(False)
    size = sizes(setting.is_tiny)
    attempts.machine("onnxruntime", onnxruntime.__version__)
    layer_count = min(_LAYER_COUNT, int(size.expert["num_layers"]))
    latent_shape = (_latent_frame_count(size, setting.device), *size.latent_shape[1:])
    attempts.figure("layer_count", layer_count)
    attempts.figure("latent_frame_count", latent_shape[0])
    attempts.figure("token_count", latent_shape[0] * size.frame_token_count)
    model = drawn_expert(size, torch.float16, setting.device, num_layers=layer_count)
    inputs = expert_inputs(size, latent_shape, setting.device, 1)
    graph = expert_module_graph(model, latent_shape, setting.device)
    with memory_of(setting.device) as memory:
        expected = run_module_graph(graph, inputs)
    attempts.figure(
        "torch_seconds", seconds_of(functools.partial(run_module_graph, graph, inputs), setting.device, _REPEATS)
    )
    attempts.figure("torch_scratch_bytes", memory.added_bytes)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        file = _export(size, layer_count, latent_shape, model, Path(folder))
        attempts.figure("export_seconds", time.perf_counter() - started)
        del model, graph
        attempts.attempt("onnxruntime", 20, functools.partial(_run_graph, setting, attempts, file, inputs, expected))


def _latent_frame_count(size: Sizes, device: str) -> int:
    """As many latent frames as scores of all heads in half precision have room for."""
    if device != "cuda":
        return size.latent_frame_count
    room = torch.cuda.get_device_properties(0).total_memory * _SCORE_SHARE
    bytes_per_pair = 2 * int(size.expert["num_attention_heads"]) * _SCORE_COPIES
    return min(size.latent_frame_count, int((room / bytes_per_pair) ** 0.5) // size.frame_token_count)


def _export(size: Sizes, layer_count: int, latent_shape: tuple[int, int, int], model: Any, folder: Path) -> Path:
    weights = {name: parameter.cpu().contiguous() for name, parameter in model.named_parameters()}
    stored = folder / "weights.safetensors"
    save_file(weights, stored)
    config = {**size.expert, "num_layers": layer_count}
    empty = without_weights(lambda: WanTransformer3DModel(**config), torch.float16)
    file = folder / "transformer.onnx"
    export_graph(
        transformer_graph(empty, latent_shape, expand_timesteps=False),
        ParameterIndex(empty, Shards.of_file(stored).weights),
        file,
    )
    return file


def _run_graph(setting: Setting, attempts: Attempts, file: Path, inputs: tuple[Tensor, ...], expected: Tensor) -> None:
    provider = _PROVIDERS[setting.device]
    if setting.device == "cuda":
        onnxruntime.preload_dlls()
        torch.cuda.empty_cache()
    started = time.perf_counter()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(file, options, providers=[(provider, _OPTIONS[setting.device])])
    attempts.figure("open_seconds", time.perf_counter() - started)
    if session.get_providers()[0] != provider:
        raise RuntimeError(f"{provider} was not taken, but {session.get_providers()}")
    binding, result = session.io_binding(), torch.empty_like(expected)
    for given, tensor in zip(session.get_inputs(), inputs, strict=True):
        binding.bind_input(
            given.name, setting.device, 0, np.float32, list(tensor.shape), tensor.contiguous().data_ptr()
        )
    binding.bind_output(
        session.get_outputs()[0].name, setting.device, 0, np.float32, list(result.shape), result.data_ptr()
    )
    taken = []
    for _ in range(_REPEATS + 1):
        started = time.perf_counter()
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        taken.append(time.perf_counter() - started)
    attempts.figure("onnxruntime_seconds", float(np.median(taken[1:])))
    attempts.figure("difference", max(relative_difference(result, expected), 1e-12))
