"""A weight source that adds adapters to the weights of another weight source."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from export.weights.lora.adapter import Adapter
from export.weights.shards import WeightSource


class FusedWeights:
    """Adds adapters to weights as they are read, one weight at a time, in float32.

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
