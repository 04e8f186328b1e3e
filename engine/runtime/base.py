"""The seam between the engine and whatever runs its graphs. Nothing above it knows which runtime that is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from engine.bundle.graph_spec import GraphSpec, TensorDtype

Array = NDArray[Any]


class Tensor(Protocol):
    """A buffer where the graphs run: on the device, or on the host for a CPU."""

    def to_host(self) -> Array:
        """A copy of the content."""
        ...


class Graph(Protocol):
    """A loaded graph. Its weights are on the device, but for the time between ``unload`` and the next ``prefetch``."""

    @property
    def spec(self) -> GraphSpec:
        """The graph's entry in the manifest."""
        ...

    def run(self, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
        """Runs on bound buffers, each input and output by name. No buffer may be both.

        Returns when the results are there: whoever looks at a cancel flag between calls stops the device within one.
        Raises ``OutOfMemory`` or ``GraphFailed``.
        """
        ...

    def prefetch(self) -> None:
        """Begins to bring the weights back while other graphs run. ``run`` waits for it and raises its errors."""
        ...

    def unload(self) -> None:
        """Frees the weights' memory. The graph stays open: a later ``prefetch`` or ``run`` brings them back."""
        ...


class Runtime(Protocol):
    """Loads graphs and owns their buffers."""

    @property
    def name(self) -> str:
        """Library, version and device."""
        ...

    def load(self, folder: Path, spec: GraphSpec) -> Graph:
        """Loads a graph of a bundle. Raises ``BundleInvalid``, or ``OutOfMemory``. Its last reference frees it."""
        ...

    def upload(self, array: Array) -> Tensor:
        """A buffer with a copy of the array."""
        ...

    def zeros(self, shape: tuple[int, ...], dtype: TensorDtype = "float32") -> Tensor:
        """A buffer of zeros."""
        ...

    def trim(self) -> None:
        """Gives back scratch memory that calls so far left for the next one."""
        ...

    def memory_bytes(self) -> int:
        """Memory in use now: the device's, by all its users, or the process's for a CPU."""
        ...

    def peak_memory_bytes(self) -> int:
        """The most memory that was in use so far, of the same kind."""
        ...

    def close(self) -> None:
        """Keeps on disk what makes the next start faster. Graphs that are still open stay usable."""
        ...
