"""Step 6: how far each way of running an expert in bf16 is from float32 over the same weights, on a short clip.

The weights of the reference are those of bf16, widened: what differs is the rounding of the arithmetic alone.
"""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.device.attempts import Attempts
from benchmarks.device.expert import (
    blocks_of,
    compile_blocks,
    drawn_expert,
    expert_inputs,
    expert_module_graph,
    run_library,
    run_module_graph,
)
from benchmarks.device.measure import relative_difference
from benchmarks.device.sizes import sizes
from benchmarks.device.steps import Setting

_LATENT_FRAME_COUNT = 5


def run(setting: Setting, attempts: Attempts) -> None:
    """Relative errors of exporter and Diffusers, eager and compiled."""
    torch.set_grad_enabled(False)
    size, device = sizes(setting.is_tiny), setting.device
    latent_shape = (min(_LATENT_FRAME_COUNT, size.latent_frame_count), *size.latent_shape[1:])
    model = drawn_expert(size, torch.bfloat16, device)
    graph = expert_module_graph(model, latent_shape, device)
    inputs = expert_inputs(size, latent_shape, device, 1)
    results: dict[str, Tensor] = {}

    def compiled() -> None:
        compile_blocks(blocks_of(graph), device)
        results["exporter_compiled"] = run_module_graph(graph, inputs)
        compile_blocks(model.blocks, device)
        results["diffusers_compiled"] = run_library(model, inputs)

    results["exporter"], results["diffusers"] = run_module_graph(graph, inputs), run_library(model, inputs)
    attempts.figure("token_count", latent_shape[0] * size.frame_token_count)
    attempts.attempt("compiled", 30, compiled)
    for parameter in model.parameters():
        parameter.data = parameter.data.float()
    wide = expert_module_graph(model, latent_shape, device)  # blocks of its own, which are not compiled
    reference = run_module_graph(wide, inputs)
    for name, result in results.items():
        attempts.figure(f"{name}_error", max(relative_difference(result, reference), 1e-12))
