"""Encodings of one weight: passed through, INT8 by output channel, FP8 with one scale, INT4 in blocks.

A linear's weight [outputs, inputs] is stored as [inputs, outputs], as a MatMul reads it, so that no compiler transposes
it. All zero points are zero: TensorRT accepts symmetric weights only.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from export.errors import ExportError
from export.quantise.rounding import block_scales, round_to_nearest, round_with_feedback

QuantisedFormat = Literal["int8", "fp8", "int4"]
# Largest absolute value of each format.
LARGEST: dict[QuantisedFormat, float] = {"int8": 127.0, "fp8": 448.0, "int4": 7.0}
SCALE_SUFFIX = ".scale"
_BLOCK_SIZES = (128, 64, 32, 16)


@dataclass(frozen=True)
class Part:
    """One tensor of the file that an encoded weight consists of."""

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]


class Encoding(abc.ABC):
    """One way to store a weight. Types and shapes are known before any weight is read."""

    @abc.abstractmethod
    def parts(self, name: str, shape: tuple[int, ...]) -> tuple[Part, ...]:
        """The tensors that a weight of this name and shape becomes."""

    @abc.abstractmethod
    def encode(self, name: str, weight: Tensor) -> tuple[Tensor, ...]:
        """The tensors of ``parts``, in that order. Raises ``ExportError`` for values that cannot be encoded."""

    def description(self, shape: tuple[int, ...]) -> dict[str, Any] | None:
        """Metadata that a reader needs beside the tensors; None for a weight that is passed through."""
        del shape
        return None


@dataclass(frozen=True)
class PassThrough(Encoding):
    """Stores the weight itself, cast to another floating point type. Integers keep their type."""

    dtype: torch.dtype

    def parts(self, name: str, shape: tuple[int, ...]) -> tuple[Part, ...]:
        """See ``Encoding``."""
        return (Part(name, self.dtype, shape),)

    def encode(self, name: str, weight: Tensor) -> tuple[Tensor, ...]:
        """See ``Encoding``."""
        kept = weight.to(self.dtype)
        if self.dtype is torch.float16 and weight.dtype is not torch.float16 and not bool(kept.isfinite().all()):
            _check_finite(name, weight)
            raise ExportError(f"{name}: has values beyond float16's 65504; keep it in bfloat16 or float32")
        return (kept,)


@dataclass(frozen=True)
class _Quantised(Encoding):
    """Stores integers or eight-bit floats with scales of ``scale_dtype``.

    ``input_range`` is the largest absolute value that calibration measured at the linear's input. With it the input is
    quantised too, without it the weight alone.
    """

    scale_dtype: torch.dtype
    input_range: float | None = None

    def description(self, shape: tuple[int, ...]) -> dict[str, Any]:
        """See ``Encoding``."""
        return {"format": self.format_name, "shape": [shape[1], shape[0]], "input_range": self.input_range}

    @property
    @abc.abstractmethod
    def format_name(self) -> QuantisedFormat:
        """The format's name."""

    def encode(self, name: str, weight: Tensor) -> tuple[Tensor, ...]:
        """See ``Encoding``."""
        weight = weight.float()
        _check_finite(name, weight)
        return self._encode(weight)

    @abc.abstractmethod
    def _encode(self, weight: Tensor) -> tuple[Tensor, ...]:
        """Encodes a finite float32 weight."""


@dataclass(frozen=True)
class Int8(_Quantised):
    """One scale for each output: values [inputs, outputs] int8 in -127..127, scales [outputs]."""

    format_name: QuantisedFormat = "int8"

    def parts(self, name: str, shape: tuple[int, ...]) -> tuple[Part, ...]:
        """See ``Encoding``."""
        output_count, input_count = shape
        return (
            Part(name, torch.int8, (input_count, output_count)),
            Part(name + SCALE_SUFFIX, self.scale_dtype, (output_count,)),
        )

    def _encode(self, weight: Tensor) -> tuple[Tensor, ...]:
        scales = _scales(weight.abs().amax(1) / LARGEST["int8"], self.scale_dtype)
        values = (weight / scales.float().unsqueeze(1)).round_().clamp_(-127, 127).to(torch.int8)
        return values.T.contiguous(), scales


@dataclass(frozen=True)
class Float8(_Quantised):
    """E4M3 with one scale for all: values [inputs, outputs], scale []. A scale for each output is no more exact."""

    format_name: QuantisedFormat = "fp8"

    def parts(self, name: str, shape: tuple[int, ...]) -> tuple[Part, ...]:
        """See ``Encoding``."""
        output_count, input_count = shape
        return (
            Part(name, torch.float8_e4m3fn, (input_count, output_count)),
            Part(name + SCALE_SUFFIX, self.scale_dtype, ()),
        )

    def _encode(self, weight: Tensor) -> tuple[Tensor, ...]:
        scale = _scales(weight.abs().max() / LARGEST["fp8"], self.scale_dtype)
        # torch casts values beyond the range to NaN, and a scale that was rounded down puts values beyond it.
        values = (weight / scale.float()).clamp_(-LARGEST["fp8"], LARGEST["fp8"]).to(torch.float8_e4m3fn)
        return values.T.contiguous(), scale


@dataclass(frozen=True)
class Int4(_Quantised):
    """One scale for each block of inputs of each output; two values a byte, the first in the low half.

    Values are [inputs, outputs] flattened and packed, scales [inputs / block size, outputs]. ``moments`` gives second
    moments of the inputs (``rounding.round_with_feedback``) when it is called; None: round to nearest.
    """

    block_size: int = 128
    moments: Callable[[], Tensor] | None = None
    format_name: QuantisedFormat = "int4"

    def parts(self, name: str, shape: tuple[int, ...]) -> tuple[Part, ...]:
        """See ``Encoding``."""
        output_count, input_count = shape
        return (
            Part(name, torch.uint8, (input_count * output_count // 2,)),
            Part(name + SCALE_SUFFIX, self.scale_dtype, (input_count // self.block_size, output_count)),
        )

    def description(self, shape: tuple[int, ...]) -> dict[str, Any]:
        """See ``Encoding``."""
        return {**super().description(shape), "block_size": self.block_size}

    def _encode(self, weight: Tensor) -> tuple[Tensor, ...]:
        scales = block_scales(weight, self.block_size, self.scale_dtype)
        if self.moments is None:
            integers = round_to_nearest(weight, scales)
        else:
            integers = round_with_feedback(weight, scales, self.moments())
        halves = integers.T.contiguous().view(torch.uint8).reshape(-1, 2) & 0x0F
        return halves[:, 0] | (halves[:, 1] << 4), scales.T.to(self.scale_dtype).contiguous()


def int4_block_size(input_count: int) -> int | None:
    """The largest block size that divides a linear's input count; None if none does."""
    return next((size for size in _BLOCK_SIZES if input_count % size == 0), None)


def _scales(exact: Tensor, dtype: torch.dtype) -> Tensor:
    """Scales cast to ``dtype``, with one in place of zero."""
    rounded = exact.to(dtype)
    return torch.where(rounded > 0, rounded, torch.ones_like(rounded))


def _check_finite(name: str, weight: Tensor) -> None:
    if not bool(weight.isfinite().all()):
        raise ExportError(f"{name}: holds infinities or not-a-numbers; the checkpoint is damaged, download it again")
