"""Components of the official sizes with weights that are drawn where they are used. Knows torch; knows no checkpoint.

A component is built on the meta device and gets its memory on the card, so that the host never holds its weights.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

_GAIN = 0.5  # of a layer over its input: no activation leaves the range of half precision
_BIAS_SCALE = 0.02


def draw_weights(component: nn.Module, device: str, seed: int = 0) -> Any:
    """Gives a component on the meta device memory and normal weights. Norms scale by 1; buffers are not filled."""
    component.to_empty(device=device)
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, parameter in component.named_parameters():
            kind = name.rpartition(".")[2]
            if kind == "gamma" or (kind == "weight" and parameter.ndim == 1):
                parameter.fill_(1.0)
            elif parameter.ndim == 1:
                parameter.normal_(0.0, _BIAS_SCALE)
            else:
                parameter.normal_(0.0, _GAIN / math.sqrt(math.prod(parameter.shape[1:])))
    return component.eval()


def parameter_bytes(component: nn.Module) -> int:
    """Bytes of all parameters."""
    return sum(parameter.numel() * parameter.element_size() for parameter in component.parameters())
