"""Weights that are stored in eight bits with scales, dequantised when they are read.

ComfyUI, Kijai and LightX2V store ``weight`` in 8-bit floats or integers and one scale for the tensor or for each
output; the weight is their product. Nothing is written: a weight exists in float32 while its caller holds it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch

from export.errors import ExportError
from export.weights.files.stored_tensor import StoredTensor

EIGHT_BIT_FLOATS = (torch.float8_e4m3fn, torch.float8_e5m2)


@dataclass(frozen=True)
class ScaledWeight:
    """A weight [outputs, …] and its scale, of one value or of one for each output. A ``StoredTensor`` in float32."""

    values: StoredTensor
    scale: StoredTensor

    def __post_init__(self) -> None:
        count = math.prod(self.scale.shape)
        is_by_output = bool(self.shape) and count == self.shape[0] and self.scale.shape[:1] in {(count,), ()}
        if count != 1 and not is_by_output:
            raise ExportError(
                f"{self.file}: a weight of shape {list(self.shape)} has scales of shape {list(self.scale.shape)}; one "
                "scale for the tensor or one for each output is supported: give the file in bf16 or fp8 scaled so"
            )

    @property
    def file(self) -> Path:
        """See ``StoredTensor``."""
        return self.values.file

    @property
    def shape(self) -> tuple[int, ...]:
        """See ``StoredTensor``."""
        return self.values.shape

    @property
    def torch_dtype(self) -> torch.dtype:
        """See ``StoredTensor``."""
        return torch.float32

    @property
    def byte_count(self) -> int:
        """See ``StoredTensor``."""
        return self.values.byte_count + self.scale.byte_count

    def read(self) -> torch.Tensor:
        """The product in float32."""
        scale = self.scale.read().to(torch.float32)
        scale = scale.reshape(-1, *(1 for _ in self.shape[1:])) if scale.numel() > 1 else scale.reshape(())
        return self.values.read().to(torch.float32).mul_(scale)


@dataclass(frozen=True)
class UnscaledWeight:
    """A weight in 8-bit floats that have no scales: the values count as they are. A ``StoredTensor`` in bfloat16.

    bfloat16 holds every value of both 8-bit formats exactly.
    """

    values: StoredTensor

    @property
    def file(self) -> Path:
        """See ``StoredTensor``."""
        return self.values.file

    @property
    def shape(self) -> tuple[int, ...]:
        """See ``StoredTensor``."""
        return self.values.shape

    @property
    def torch_dtype(self) -> torch.dtype:
        """See ``StoredTensor``."""
        return torch.bfloat16

    @property
    def byte_count(self) -> int:
        """See ``StoredTensor``."""
        return self.values.byte_count

    def read(self) -> torch.Tensor:
        """The values in bfloat16."""
        return self.values.read().to(torch.bfloat16)
