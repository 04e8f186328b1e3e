"""The seam between the engine and whatever runs its graphs. Nothing above it knows which runtime that is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.bundle import GraphSpec

Array = NDArray[Any]


class Tensor(Protocol):
    """A buffer where the graphs run: on the device, or on the host for a CPU."""

    def to_host(self) -> Array:
        """A copy of the content."""
        ...


class Graph(Protocol):
    """A loaded graph."""

    @property
    def spec(self) -> GraphSpec:
        """The graph's entry in the manifest."""
        ...

    def run(self, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
        """Runs on bound buffers, each input and output by name. No buffer may be both.

        Raises ``OutOfMemory`` or ``GraphFailed``.
        """
        ...


class Runtime(Protocol):
    """Loads graphs and owns their buffers."""

    @property
    def name(self) -> str:
        """Library, version and device."""
        ...

    def load(self, folder: Path, spec: GraphSpec) -> Graph:
        """Loads a graph of a bundle. Raises ``BundleInvalid``."""
        ...

    def upload(self, array: Array) -> Tensor:
        """A buffer with a copy of the array."""
        ...

    def zeros(self, shape: tuple[int, ...], dtype: type[np.generic] = np.float32) -> Tensor:
        """A buffer of zeros."""
        ...

    def peak_memory_bytes(self) -> int:
        """The most memory that was in use so far: the device's, or the process's for a CPU."""
        ...
