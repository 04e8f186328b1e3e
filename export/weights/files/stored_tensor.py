"""One tensor of a file: the interface, and the check of values that every tensor passes when it is read."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import torch

from export.errors import ExportError


class StoredTensor(Protocol):
    """A tensor that is read when it is needed. ``byte_count`` counts its bytes in the file."""

    @property
    def file(self) -> Path:
        """The file that holds the tensor."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""

    @property
    def torch_dtype(self) -> torch.dtype:
        """Type of the tensor that ``read`` returns."""

    @property
    def byte_count(self) -> int:
        """Bytes of the tensor in the file."""

    def read(self) -> torch.Tensor:
        """The tensor. Changing it does not change the file."""


def require_finite(name: str, tensor: torch.Tensor, file: Path) -> torch.Tensor:
    """Returns the tensor. Raises ``ExportError`` for floating point values that are infinite or not a number."""
    if tensor.is_floating_point() and tensor.numel() and tensor.dtype.itemsize > 1:
        lowest, highest = torch.aminmax(tensor)  # not a number if any value is none
        if not bool(torch.isfinite(lowest) & torch.isfinite(highest)):
            count = int((~torch.isfinite(tensor)).sum())
            raise ExportError(
                f"{file}: {name} holds {count} values of {tensor.numel()} that are infinite or not a number; the file "
                "is damaged or was merged wrongly: download the file again or take another"
            )
    return tensor
