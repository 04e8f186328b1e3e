"""Parameters of torch modules without and with weights, and the stored tensor of each.

A component is built from its configuration on the meta device, where a parameter has a shape and no memory; tracing
needs no more. A graph holds no weights either: it points into safetensors files by file, offset and length, so that
all graphs of a component share one copy. Tensors are found by the names that the component gives its parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import Any

import torch
from torch import nn

from export.errors import ExportError
from export.weights.files.safetensors_file import StoredWeight
from export.weights.shards import Shards, WeightSource


class ParameterIndex:
    """Finds the stored weight of a component's parameter by the identity of the tensor.

    A module that wraps the component names the same parameter by another path; its identity stays.
    """

    def __init__(self, component: nn.Module, stored: Mapping[str, StoredWeight]) -> None:
        self._component = component  # keeps the parameters alive: identities of freed objects are used again
        self._by_identity = {
            id(tensor): (name, stored[name]) for name, tensor in stored_parameters(component, stored).items()
        }

    def find(self, tensor: torch.Tensor) -> tuple[str, StoredWeight] | None:
        """Name in the checkpoint and place of a parameter; None for a tensor that the checkpoint does not hold."""
        return self._by_identity.get(id(tensor))


def without_weights(build: Callable[[], Any], dtype: torch.dtype = torch.float32) -> Any:
    """Runs ``build`` on the meta device and converts the module's parameters to ``dtype``.

    Layers that the library itself keeps in float32 (``_keep_in_fp32_modules``) stay float32.
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


def stored_parameters(component: nn.Module, names: Container[str]) -> dict[str, torch.Tensor]:
    """The component's parameters by the names under which they are stored; tied parameters once.

    ``names`` are the stored names. Raises ``ExportError`` for a parameter that is stored under none of its names.
    """
    found: dict[int, tuple[str, torch.Tensor]] = {}
    aliases: dict[int, list[str]] = {}
    for name, tensor in component.named_parameters(remove_duplicate=False):
        aliases.setdefault(id(tensor), []).append(name)
        if name in names:
            found.setdefault(id(tensor), (name, tensor))
    for name, buffer in component.named_buffers():
        if name in names:
            found.setdefault(id(buffer), (name, buffer))
    for identity, known_as in aliases.items():
        if identity not in found:
            raise ExportError(
                f"cannot load {type(component).__name__}: its files hold no {' or '.join(known_as)}; download the "
                "component again"
            )
    return dict(found.values())


def check_weights(component: nn.Module, shards: Shards) -> None:
    """Refuses shards whose tensors are not those of the component's configuration. Raises ``ExportError``."""
    parameters = stored_parameters(component, shards.names())
    shards.check({name: tuple(tensor.shape) for name, tensor in parameters.items()})


def load_weights(component: nn.Module, source: WeightSource, dtype: torch.dtype) -> None:
    """Replaces the parameters of a component on the meta device by weights of ``source``, converted to ``dtype``."""
    stored = {
        id(tensor): nn.Parameter(source.read(name).to(dtype, copy=True), requires_grad=False)
        for name, tensor in stored_parameters(component, source.names()).items()
    }
    for module in component.modules():
        for name, parameter in module.named_parameters(recurse=False):
            setattr(module, name, stored[id(parameter)])
