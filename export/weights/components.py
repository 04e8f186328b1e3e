"""Components of a checkpoint as torch modules, with or without weights. Knows the libraries' classes; knows no graph.

A component is built from its configuration on the meta device, where a parameter has a shape and no memory. That is
all that tracing needs. Weights are given afterwards, only where something is computed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn


def without_weights(build: Any, dtype: torch.dtype = torch.float32) -> Any:
    """What ``build`` gives, on the meta device, in a precision.

    Layers that the library itself keeps in float32 (``_keep_in_fp32_modules``) stay so.
    """
    with torch.device("meta"):
        component: nn.Module = build()
    component.requires_grad_(False).eval()
    kept: list[str] = getattr(component, "_keep_in_fp32_modules", None) or []
    for module_name, module in component.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            parts = f"{module_name}.{name}".split(".")
            parameter.data = parameter.data.to(torch.float32 if any(part in kept for part in parts) else dtype)
    return component


@dataclass
class Example:
    """Draws example inputs from a fixed seed; on the meta device they have a shape and no numbers."""

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    _generator: torch.Generator = field(default_factory=lambda: torch.Generator().manual_seed(0))

    @classmethod
    def of(cls, module: nn.Module) -> Example:
        """For the device on which a module's weights are."""
        return cls(next(module.parameters()).device)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal float32."""
        if self.device.type == "meta":
            return torch.empty(shape, device=self.device)
        return torch.randn(shape, generator=self._generator)

    def uniform(self, *shape: int) -> Tensor:
        """Float32 from -1 to 1."""
        if self.device.type == "meta":
            return torch.empty(shape, device=self.device)
        return torch.rand(shape, generator=self._generator) * 2 - 1

    def move(self, tensor: Tensor) -> Tensor:
        """A tensor that is known already."""
        return tensor.to(self.device)
