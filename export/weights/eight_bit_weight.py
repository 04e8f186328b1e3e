"""Weights that are stored in eight bits, most with scales, dequantised when they are read.

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
class EightBitWeight:
    """A weight [outputs, …] in eight bits and its scale, of one value or of one for each output: a ``StoredTensor``.

    ``scale`` None: the values count as they are, in bfloat16, which holds every value of both 8-bit floats exactly.
    """

    values: StoredTensor
    scale: StoredTensor | None

    def __post_init__(self) -> None:
        if self.scale is None:
            return
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
        return torch.bfloat16 if self.scale is None else torch.float32

    @property
    def byte_count(self) -> int:
        """See ``StoredTensor``."""
        return self.values.byte_count + (0 if self.scale is None else self.scale.byte_count)

    def read(self) -> torch.Tensor:
        """The product in float32, or the values in bfloat16."""
        values = self.values.read().to(self.torch_dtype)
        if self.scale is None:
            return values
        scale = self.scale.read().to(torch.float32)
        return values.mul_(scale.reshape(-1, *(1 for _ in self.shape[1:])) if scale.numel() > 1 else scale.reshape(()))
