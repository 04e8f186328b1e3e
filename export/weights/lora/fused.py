"""A weight source that adds adapters to the weights of another weight source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from export.options import AdapterOption
from export.weights.lora.adapter import Adapter
from export.weights.shards import WeightSource


def open_adapters(
    options: Sequence[AdapterOption], shapes: Mapping[str, tuple[int, ...]], *, component: str
) -> tuple[Adapter, ...]:
    """Opens the adapters of one component in the order given. ``shapes`` are of the component's parameters.

    Raises ``ExportError`` as ``Adapter.open`` does.
    """
    return tuple(
        Adapter.open(file, shapes, component=component, strength=strength, skips_image_keys=skips)
        for file, strength, skips in options
    )


class FusedWeights:
    """Adds adapters to weights as they are read, one weight at a time, in float32 and in the order given.

    A changed weight stays float32 whatever its stored type, so that encoding rounds it once and not twice.
    """

    def __init__(self, source: WeightSource, adapters: Sequence[Adapter]) -> None:
        self._source = source
        self._adapters = tuple(adapters)

    def names(self) -> Sequence[str]:
        """See ``WeightSource``."""
        return self._source.names()

    def shape(self, name: str) -> tuple[int, ...]:
        """See ``WeightSource``."""
        return self._source.shape(name)

    def dtype(self, name: str) -> torch.dtype:
        """See ``WeightSource``."""
        return torch.float32 if any(name in adapter for adapter in self._adapters) else self._source.dtype(name)

    def read(self, name: str) -> Tensor:
        """See ``WeightSource``."""
        weight = self._source.read(name)
        for adapter in self._adapters:
            if name in adapter:
                weight = adapter.added_to(name, weight)
        return weight
