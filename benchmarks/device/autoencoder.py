"""Step 3: the recurrent autoencoder as the exporter writes it, and Diffusers' at once, over the same weights."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
from torch import Tensor, nn

from benchmarks.device.attempts import Attempts
from benchmarks.device.drawn import draw_weights, parameter_bytes
from benchmarks.device.measure import memory_of, relative_difference, seconds_of
from benchmarks.device.sizes import Sizes, sizes
from benchmarks.device.steps import Setting
from export.tracing.vae import FRAMES_PER_STEP, RecurrentGraphs, decoder_graphs, encoder_graphs
from export.weights.parameters import without_weights

_REPEATS = 3
_DTYPES = {"cuda": torch.float16, "cpu": torch.float32}  # a CPU has no fast half precision
_CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}


def run(setting: Setting, attempts: Attempts) -> None:
    """fp16 first, then what may make it faster: the channels innermost, cuDNN choosing by trial, bf16."""
    torch.set_grad_enabled(False)
    size = sizes(setting.is_tiny)
    _run_main(_Variants(setting, attempts, size, _DTYPES[setting.device]), attempts)
    if setting.device == "cuda":
        attempts.attempt("bf16", 10, lambda: _Variants(setting, attempts, size, torch.bfloat16).decode("decoder_bf16"))
    else:
        attempts.leave_out("bf16", "a CPU has no fast half precision")


def _run_main(variants: _Variants, attempts: Attempts) -> None:
    attempts.figure("weight_bytes", parameter_bytes(variants.vae))
    attempts.attempt("decoder", 8, lambda: variants.decode("decoder"))
    attempts.attempt("diffusers_decode", 8, variants.decode_at_once)
    attempts.attempt("encoder", 8, lambda: variants.encode("encoder"))
    attempts.attempt("diffusers_encode", 8, variants.encode_at_once)

    def channels_last() -> None:
        for parameter in variants.vae.parameters():
            if parameter.ndim in _CHANNELS_LAST:
                parameter.data = parameter.data.contiguous(memory_format=_CHANNELS_LAST[parameter.ndim])
        variants.decode("decoder_channels_last")
        variants.encode("encoder_channels_last")

    def by_trial() -> None:
        torch.backends.cudnn.benchmark = True
        variants.decode("decoder_channels_last_by_trial")

    attempts.attempt("channels_last", 10, channels_last)
    attempts.attempt("by_trial", 15, by_trial)
    torch.backends.cudnn.benchmark = False


class _Variants:
    def __init__(self, setting: Setting, attempts: Attempts, size: Sizes, dtype: torch.dtype) -> None:
        self._device, self._attempts, self._size, self._dtype = setting.device, attempts, size, dtype
        self.vae = _without_weights(size, dtype)
        self._decoder = decoder_graphs(self.vae, size.height_px, size.width_px)
        self._encoder = encoder_graphs(self.vae, size.height_px, size.width_px)
        draw_weights(self.vae, setting.device)
        generator = torch.Generator(setting.device).manual_seed(3)
        frame_count = 1 + FRAMES_PER_STEP * (size.latent_frame_count - 1)
        self._latents = torch.randn(1, 16, *size.latent_shape, device=setting.device, generator=generator)
        self._frames = (
            torch.rand(1, 3, frame_count, size.height_px, size.width_px, device=setting.device, generator=generator)
            .mul_(2)
            .sub_(1)
        )
        self._decoded: Tensor | None = None
        self._encoded: Tensor | None = None

    def decode(self, name: str) -> None:
        """Latent after latent. The first result is kept for the comparison."""
        self._decoded = self._measure(name, self._decoder, list(self._latents.split(1, dim=2)))

    def encode(self, name: str) -> None:
        """Picture, then four pictures at a time."""
        chunks = [self._frames[:, :, :1], *self._frames[:, :, 1:].split(FRAMES_PER_STEP, dim=2)]
        self._encoded = self._measure(name, self._encoder, chunks)

    def decode_at_once(self) -> None:
        """Diffusers' own decode of the whole clip."""
        vae, latents = self._library(), self._latents.to(self._dtype)
        self._beside("decode", lambda: vae.decode(latents, return_dict=False)[0], self._decoded)

    def encode_at_once(self) -> None:
        """Diffusers' own encode of the whole clip."""
        vae, frames = self._library(), self._frames.to(self._dtype)

        def work() -> Tensor:
            (posterior,) = vae.encode(frames, return_dict=False)
            return posterior.mode()

        self._beside("encode", work, self._encoded)

    def _library(self) -> Any:
        """A second autoencoder: the exporter changes layers of the one that it is given."""
        vae = _without_weights(self._size, self._dtype).to_empty(device=self._device)
        vae.load_state_dict(self.vae.state_dict())
        return vae.eval()

    def _beside(self, name: str, work: Callable[[], Tensor], ours: Tensor | None) -> None:
        with memory_of(self._device) as memory:
            result = work()
        self._attempts.figure(f"diffusers_{name}_seconds", seconds_of(work, self._device, 2, warmups=0))
        self._attempts.figure(f"diffusers_{name}_peak_bytes", memory.peak_bytes)
        self._attempts.figure(f"diffusers_{name}_scratch_bytes", memory.added_bytes)
        if ours is not None:
            self._attempts.figure(f"{name}_difference", max(relative_difference(ours, result), 1e-12))

    def _measure(self, name: str, graphs: RecurrentGraphs, chunks: list[Tensor]) -> Tensor:
        init, step = graphs.init.module, _Step(graphs, self._device)
        self._measure_calls(name, init, step, chunks)
        results: list[Tensor] = []

        def whole() -> None:
            results.clear()
            result, *given = init(chunks[0])
            caches = step.caches((result, *given))
            results.append(result)
            for chunk in chunks[1:]:
                result, *caches = step(chunk, caches)
                results.append(result)

        self._attempts.figure(f"{name}_clip_seconds", seconds_of(whole, self._device, 2, warmups=0))
        joined = torch.cat(results, dim=2)
        if not bool(torch.isfinite(joined).all()):
            raise ArithmeticError("the result has numbers that are not finite")
        return joined

    def _measure_calls(self, name: str, init: nn.Module, step: _Step, chunks: list[Tensor]) -> None:
        figure = self._attempts.figure
        with memory_of(self._device) as first_memory:
            caches = step.caches(init(chunks[0]))
        with memory_of(self._device) as memory:
            step(chunks[1], caches)
        figure(f"{name}_first_seconds", seconds_of(partial(init, chunks[0]), self._device, _REPEATS))
        figure(f"{name}_step_seconds", seconds_of(partial(step, chunks[1], caches), self._device, _REPEATS))
        figure(f"{name}_cache_bytes", sum(cache.numel() * cache.element_size() for cache in caches))
        figure(f"{name}_peak_bytes", max(memory.peak_bytes, first_memory.peak_bytes))
        figure(f"{name}_step_scratch_bytes", memory.added_bytes)


class _Step:
    """The step graph with its caches in order; those that the first chunk does not give start as zeros."""

    def __init__(self, graphs: RecurrentGraphs, device: str) -> None:
        self._module: nn.Module = graphs.step.module
        self._examples = dict(list(graphs.step.inputs.items())[1:])
        self._given = graphs.init.output_names[1:]
        self._device = device

    def __call__(self, chunk: Tensor, caches: list[Tensor]) -> tuple[Tensor, ...]:
        """The result and the next caches."""
        return self._module(chunk, *caches)

    def caches(self, outputs: tuple[Tensor, ...]) -> list[Tensor]:
        """From what the first chunk gave."""
        given = dict(zip(self._given, outputs[1:], strict=True))
        return [
            given[f"next_{name}"]
            if f"next_{name}" in given
            else torch.zeros(example.shape, dtype=example.dtype, device=self._device)
            for name, example in self._examples.items()
        ]


def _without_weights(size: Sizes, dtype: torch.dtype) -> Any:
    return without_weights(lambda: AutoencoderKLWan(**size.vae), dtype)
