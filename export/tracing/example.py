"""Example inputs for tracing, drawn from a fixed seed."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn


@dataclass
class Example:
    """Draws example inputs; on the meta device they have a shape and no values."""

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    _generator: torch.Generator = field(default_factory=lambda: torch.Generator().manual_seed(0))

    @classmethod
    def of(cls, module: nn.Module) -> Example:
        """Draws on the device that holds the module's weights."""
        return cls(next(module.parameters()).device)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal float32 values."""
        if self.device.type == "meta":
            return torch.empty(shape, device=self.device)
        return torch.randn(shape, generator=self._generator)

    def uniform(self, *shape: int) -> Tensor:
        """Uniform float32 values from -1 to 1."""
        if self.device.type == "meta":
            return torch.empty(shape, device=self.device)
        return torch.rand(shape, generator=self._generator) * 2 - 1

    def move(self, tensor: Tensor) -> Tensor:
        """A given tensor on this device."""
        return tensor.to(self.device)
