"""Which stored tensor is which parameter of a module. Knows modules and shards; knows no model.

A graph does not hold its weights: it points into the safetensors files of its component by file, offset and
length, so that every graph of a component, at every size, shares one copy. Tensors are found by the names that the
component gives its parameters, so they need not be in memory.
"""

from __future__ import annotations

from collections.abc import Container, Mapping

import torch
from torch import nn

from export.errors import ExportError
from export.weights.shards import Shards, StoredWeight, WeightSource


class ComponentWeights:
    """Finds the stored weight of each parameter of a component, whatever path the parameter is reached by."""

    def __init__(self, component: nn.Module, stored: Mapping[str, StoredWeight]) -> None:
        self._component = component  # keeps the parameters alive, and with them their identities
        self._by_identity = {
            id(tensor): (name, stored[name]) for name, tensor in stored_parameters(component, stored).items()
        }

    def find(self, tensor: torch.Tensor) -> tuple[str, StoredWeight] | None:
        """The name in the checkpoint and the place of a parameter; None for what the checkpoint does not hold."""
        return self._by_identity.get(id(tensor))


def stored_parameters(component: nn.Module, names: Container[str]) -> dict[str, torch.Tensor]:
    """The component's parameters by the name under which each is stored; tied ones once.

    ``names`` are those that are stored. Raises ``ExportError`` for a parameter that is under none of its names.
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
    """Whether every parameter is stored in the shape that the configuration gives it. Raises ``ExportError``."""
    parameters = stored_parameters(component, shards.names())
    shards.check({name: tuple(tensor.shape) for name, tensor in parameters.items()})


def load_weights(component: nn.Module, source: WeightSource, dtype: torch.dtype) -> None:
    """Gives a component on the meta device its weights, in another precision where it has to be."""
    stored = {
        id(tensor): nn.Parameter(source.read(name).to(dtype, copy=True), requires_grad=False)
        for name, tensor in stored_parameters(component, source.names()).items()
    }
    for module in component.modules():
        for name, parameter in module.named_parameters(recurse=False):
            setattr(module, name, stored[id(parameter)])
