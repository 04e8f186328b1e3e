"""Step 2: forwards of one A14B expert, by the exporter's modules and by Diffusers' model over the same weights.

Both run eagerly and with every block compiled; what is worth most comes first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from diffusers.models.transformers.transformer_wan import WanRotaryPosEmbed, WanTransformer3DModel
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from benchmarks.device.attempts import Attempts
from benchmarks.device.drawn import draw_weights, parameter_bytes
from benchmarks.device.kernels import seconds_by_kind
from benchmarks.device.measure import memory_of, relative_difference, seconds_of
from benchmarks.device.sizes import Sizes, sizes
from benchmarks.device.steps import Setting
from engine.generate.prompt_encoder import join_prompts
from export.tracing.module_graph import ModuleGraph
from export.tracing.text_encoder import TOKEN_COUNT
from export.tracing.transformer import transformer_module_graph
from export.weights.parameters import without_weights

Forward = Callable[[], Tensor]
_TIMESTEP = 937.0


def run(setting: Setting, attempts: Attempts) -> None:
    """Seconds of a forward, its memory, its kernels; differences of the results."""
    torch.set_grad_enabled(False)
    size = sizes(setting.is_tiny)
    started = time.perf_counter()
    model = drawn_expert(size, torch.bfloat16, setting.device)
    attempts.figure("draw_seconds", time.perf_counter() - started)
    attempts.figure("weight_bytes", parameter_bytes(model))
    attempts.figure("token_count", size.token_count)
    _Variants(setting, attempts, size, model).run()


def drawn_expert(size: Sizes, dtype: torch.dtype, device: str, **changes: Any) -> Any:
    """An expert with weights on the device. ``changes`` are to its configuration."""
    config = {**size.expert, **changes}
    model = draw_weights(without_weights(lambda: WanTransformer3DModel(**config), dtype), device)
    model.rope = WanRotaryPosEmbed(
        model.config.attention_head_dim, model.config.patch_size, model.config.rope_max_seq_len
    ).to(device)
    return model


def expert_module_graph(model: Any, latent_shape: tuple[int, int, int], device: str) -> ModuleGraph:
    """The exporter's modules, their tables on the device."""
    graph = transformer_module_graph(model, latent_shape, expand_timesteps=False)
    graph.constants = {name: constant.to(device) for name, constant in graph.constants.items()}
    return graph


def expert_inputs(size: Sizes, latent_shape: tuple[int, int, int], device: str, batch: int) -> tuple[Tensor, ...]:
    """Latents [1, 16, T, h, w], condition [1, 20, T, h, w], timestep [1], embeddings and bias of so many prompts."""
    generator = torch.Generator(device).manual_seed(1)
    latents, condition = (
        torch.randn(1, channels, *latent_shape, device=device, generator=generator) for channels in (16, 20)
    )
    drawn = torch.Generator().manual_seed(2)
    counts = size.prompt_token_counts[:batch]
    prompts = [torch.randn(1, count, int(size.expert["text_dim"]), generator=drawn).numpy() for count in counts]
    embeds, bias = (torch.from_numpy(array).to(device) for array in join_prompts(prompts, TOKEN_COUNT))
    return latents, condition, torch.tensor([_TIMESTEP], device=device), embeds, bias


def run_module_graph(graph: ModuleGraph, inputs: Sequence[Tensor]) -> Tensor:
    """The graph's only output. Its own forward keeps every value between its links; this lets go of what is used up."""
    values = {**graph.constants, **dict(zip(graph.input_names, inputs, strict=True))}
    last_use = {name: index for index, segment in enumerate(graph.segments) for name in segment.inputs}
    for index, segment in enumerate(graph.segments):
        given = segment.module(*(values[name] for name in segment.inputs))
        values |= zip(segment.outputs, (given,) if isinstance(given, Tensor) else given, strict=True)
        for name in segment.inputs:
            if last_use[name] == index:
                values.pop(name, None)
    return values[graph.output_names[0]]


def run_library(model: Any, inputs: Sequence[Tensor]) -> Tensor:
    """The same by Diffusers' own forward, over 512 rows of text."""
    latents, condition, timestep, embeds, _ = inputs
    dtype = model.patch_embedding.weight.dtype
    prediction: Tensor = model(
        hidden_states=torch.cat([latents, condition], dim=1).to(dtype),
        timestep=timestep,
        encoder_hidden_states=functional.pad(embeds, (0, 0, 0, TOKEN_COUNT - embeds.shape[1])).to(dtype),
        return_dict=False,
    )[0]
    return prediction.float()


def compile_blocks(blocks: Iterable[nn.Module], device: str) -> None:
    """Has each block compiled when it is called first; blocks of one structure share what is compiled."""
    torch.compiler.reset()
    torch._dynamo.utils.counters.clear()  # noqa: SLF001 - the compiler counts its graphs there
    for block in blocks:
        block.compile(backend="inductor" if device == "cuda" else "eager", dynamic=False)


def blocks_of(graph: ModuleGraph) -> list[nn.Module]:
    """The exporter's blocks."""
    return [segment.module for segment in graph.segments if "block" in segment.pattern]


class _Variants:
    def __init__(self, setting: Setting, attempts: Attempts, size: Sizes, model: Any) -> None:
        self._device, self._attempts, self._model = setting.device, attempts, model
        shape = size.latent_shape
        self._graph = expert_module_graph(model, shape, setting.device)
        self._inputs = {batch: expert_inputs(size, shape, setting.device, batch) for batch in (1, 2)}
        self._results: dict[str, Tensor] = {}

    def run(self) -> None:
        """The variants in order."""
        attempts = self._attempts
        attempts.attempt("exporter", 20, lambda: self._measure("exporter", self._exporter))
        attempts.attempt("diffusers", 20, lambda: self._measure("diffusers", self._diffusers))
        self._compare("exporter", "diffusers")
        attempts.attempt(
            "exporter_batch_2", 25, lambda: self._measure("exporter_batch_2", lambda: self._exporter(2), repeats=2)
        )
        self._compiled("exporter", blocks_of(self._graph), self._exporter)
        self._compare("exporter_compiled", "exporter")
        self._compiled("diffusers", list(self._model.blocks), self._diffusers)
        self._compare("diffusers_compiled", "diffusers")
        if self._device == "cuda":
            attempts.attempt("exporter_compiled_cudnn", 45, self._with_cudnn)
        else:
            attempts.leave_out("exporter_compiled_cudnn", "cuDNN's attention is a card's")

    def _compiled(self, name: str, blocks: list[nn.Module], forward: Forward) -> None:
        def work() -> None:
            compile_blocks(blocks, self._device)
            started = time.perf_counter()
            forward()
            self._synchronise()
            self._attempts.figure(f"{name}_compiled_first_forward_seconds", time.perf_counter() - started)
            graph_count = torch._dynamo.utils.counters["stats"]["unique_graphs"]  # noqa: SLF001
            self._attempts.figure(f"{name}_compiled_graph_count", graph_count)
            self._measure(f"{name}_compiled", forward)

        self._attempts.attempt(f"{name}_compiled", 60, work)

    def _with_cudnn(self) -> None:
        """The exporter's compiled blocks with cuDNN's attention where that can, whatever torch would choose."""
        torch.compiler.reset()
        order = [SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION]
        with sdpa_kernel(order, set_priority=True):
            self._measure("exporter_compiled_cudnn", self._exporter)

    def _exporter(self, batch: int = 1) -> Tensor:
        return run_module_graph(self._graph, self._inputs[batch])

    def _diffusers(self) -> Tensor:
        return run_library(self._model, self._inputs[1])

    def _measure(self, name: str, forward: Forward, repeats: int = 3) -> None:
        figure = self._attempts.figure
        with memory_of(self._device) as memory:
            result = forward()
        self._results[name] = result
        if not bool(torch.isfinite(result).all()):
            raise ArithmeticError("the result has numbers that are not finite")
        figure(f"{name}_seconds", seconds_of(forward, self._device, repeats, warmups=0))
        figure(f"{name}_peak_bytes", memory.peak_bytes)
        figure(f"{name}_scratch_bytes", memory.added_bytes)
        if self._device == "cuda":
            self._attempts.attempt(f"{name}_kernels", 6, lambda: self._kernels(name, forward))

    def _kernels(self, name: str, forward: Forward) -> None:
        for kind, seconds in seconds_by_kind(forward).items():
            self._attempts.figure(f"{name}_{kind}_seconds", seconds)

    def _compare(self, name: str, reference: str) -> None:
        """The difference over the length of the reference; never quite 0 in the record, which holds what is above 0."""
        if name in self._results and reference in self._results:
            difference = relative_difference(self._results[name], self._results[reference])
            self._attempts.figure(f"{name}_to_{reference}_difference", max(difference, 1e-12))

    def _synchronise(self) -> None:
        if self._device == "cuda":
            torch.cuda.synchronize()
