"""Step 0: what the card does at most. Copies, products in four precisions, attention, and the expert's own products.

All data is random: zeros are multiplied faster.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from benchmarks.device.attempts import Attempts
from benchmarks.device.measure import seconds_of
from benchmarks.device.sizes import Sizes, sizes
from benchmarks.device.steps import Setting

_REPEATS = 15
_TEXT_ROW_COUNT = 512
_PRECISIONS = ("bf16", "fp16", "fp8", "int8")
Shape = tuple[int, int, int]  # rows, inner, columns


def run(setting: Setting, attempts: Attempts) -> None:
    """Figures in bytes a second and TFLOP a second; then what a forward of the expert takes at these rates."""
    torch.set_grad_enabled(False)
    size = sizes(setting.is_tiny)
    _describe(setting, attempts)
    for name, work in _copies(setting.device, size.copy_bytes).items():
        attempts.attempt(name, 3, partial(_copy, attempts, name, work))
    taken: dict[str, float] = {}
    width, inner, text = size.expert_width, int(size.expert["ffn_dim"]), int(size.expert["text_dim"])
    square = (size.square, size.square, size.square)
    token_count = size.token_count
    shapes = (square, (token_count, width, width), (token_count, width, inner), (token_count, inner, width))
    for precision in _PRECISIONS:
        for shape in (*shapes, (_TEXT_ROW_COUNT, text, width)):
            name = _product_name(precision, shape)
            if precision == "fp8" and setting.device == "cpu":
                attempts.leave_out(name, "products of fp8 are a card's")
            else:
                attempts.attempt(name, 1, partial(_product, setting, attempts, precision, shape, taken))
    _attention(setting, attempts, size, taken)
    attempts.attempt("floors", 0, partial(_floors, attempts, size, shapes[1:], taken))


def _describe(setting: Setting, attempts: Attempts) -> None:
    attempts.machine("cudnn", str(torch.backends.cudnn.version()))
    if setting.device == "cuda":
        card = torch.cuda.get_device_properties(0)
        attempts.machine("card", card.name)
        attempts.machine("card_memory_bytes", card.total_memory)
        attempts.machine("compute_capability", f"{card.major}.{card.minor}")
        attempts.machine("cuda", str(torch.version.cuda))
        attempts.machine("driver", _driver())
    else:
        attempts.machine("card", "none")


def _driver() -> str:
    try:
        import pynvml

        pynvml.nvmlInit()
        return str(pynvml.nvmlSystemGetDriverVersion())
    except Exception as error:  # noqa: BLE001 - a version that is not known is no reason to measure nothing
        return f"unknown: {type(error).__name__}"


def _copies(device: str, byte_count: int) -> Mapping[str, Callable[[], float]]:
    """Bytes a second; a copy on the card reads and writes, so it counts twice."""

    def on_device() -> float:
        source = torch.empty(byte_count, dtype=torch.uint8, device=device).random_()
        target = torch.empty_like(source)
        return 2 * byte_count / seconds_of(lambda: target.copy_(source), device, _REPEATS, 3)

    def from_host(is_pinned: bool) -> float:
        count = byte_count // 4
        source = torch.ones(count, dtype=torch.uint8, pin_memory=is_pinned and device == "cuda")
        target = torch.empty(count, dtype=torch.uint8, device=device)
        return count / seconds_of(lambda: target.copy_(source, non_blocking=is_pinned), device, 5)

    return {
        "copy_on_device_bytes_per_second": on_device,
        "copy_from_host_pageable_bytes_per_second": lambda: from_host(False),
        "copy_from_host_pinned_bytes_per_second": lambda: from_host(True),
    }


def _copy(attempts: Attempts, name: str, work: Callable[[], float]) -> None:
    attempts.figure(name, work())


def _product_name(precision: str, shape: Shape) -> str:
    return f"product_{'x'.join(map(str, shape))}_{precision}"


def _product(setting: Setting, attempts: Attempts, precision: str, shape: Shape, taken: dict[str, float]) -> None:
    name = _product_name(precision, shape)
    seconds = seconds_of(_multiplication(precision, shape, setting.device), setting.device, _REPEATS, 3)
    taken[name] = seconds
    attempts.figure(f"{name}_tflops", 2 * math.prod(shape) / seconds / 1e12)


def _multiplication(precision: str, shape: Shape, device: str) -> Callable[[], Tensor]:
    """``[rows, inner] @ [inner, columns]``, the second one stored by columns, as a linear layer's weight is."""
    if precision == "int8":
        left, right = (torch.randint(-127, 128, size, dtype=torch.int8, device=device) for size in _stored(shape))
        return lambda: torch._int_mm(left, right.t())  # noqa: SLF001 - torch has no public name for it
    if precision == "fp8":
        left, right = (
            torch.randn(size, device=device, dtype=torch.bfloat16).to(torch.float8_e4m3fn) for size in _stored(shape)
        )
        one = torch.ones((), device=device)
        return lambda: torch._scaled_mm(  # noqa: SLF001 - as above
            left, right.t(), scale_a=one, scale_b=one, out_dtype=torch.bfloat16, use_fast_accum=True
        )
    dtype = torch.bfloat16 if precision == "bf16" else torch.float16
    first, second = (torch.randn(size, device=device, dtype=dtype) for size in _stored(shape))
    return lambda: first @ second.t()


def _stored(shape: Shape) -> tuple[tuple[int, int], tuple[int, int]]:
    return (shape[0], shape[1]), (shape[2], shape[1])


def _attention(setting: Setting, attempts: Attempts, size: Sizes, taken: dict[str, float]) -> None:
    head_count, head_size = int(size.expert["num_attention_heads"]), int(size.expert["attention_head_dim"])
    shape = (1, head_count, size.token_count, head_size)
    backends = {"default": None, "flash": SDPBackend.FLASH_ATTENTION, "cudnn": SDPBackend.CUDNN_ATTENTION}

    def attend(name: str) -> None:
        query, key, value = (torch.randn(shape, dtype=torch.bfloat16, device=setting.device) for _ in range(3))
        backend = backends[name]
        with nullcontext() if backend is None else sdpa_kernel(backend):
            seconds = seconds_of(
                lambda: functional.scaled_dot_product_attention(query, key, value), setting.device, 5, 2
            )
        taken[f"attention_{name}"] = seconds
        flop = 4 * head_count * size.token_count**2 * head_size
        attempts.figure(f"attention_{'x'.join(map(str, shape))}_{name}_tflops", flop / seconds / 1e12)

    for name in backends:
        if name == "cudnn" and setting.device == "cpu":
            attempts.leave_out("attention_cudnn", "a card's library")
        else:
            attempts.attempt(f"attention_{name}", 2, partial(attend, name))


def _floors(attempts: Attempts, size: Sizes, shapes: tuple[Shape, ...], taken: dict[str, float]) -> None:
    """Seconds that a forward's products and attention take one by one; a block has six square products and two more."""
    layer_count = int(size.expert["num_layers"])
    for precision in _PRECISIONS:
        seconds = [taken.get(_product_name(precision, shape)) for shape in shapes]
        square, widening, narrowing = seconds
        if square and widening and narrowing:
            attempts.figure(f"forward_products_{precision}_seconds", layer_count * (6 * square + widening + narrowing))
    for name in ("default", "flash", "cudnn"):
        if f"attention_{name}" in taken:
            attempts.figure(f"forward_attention_{name}_seconds", layer_count * taken[f"attention_{name}"])
