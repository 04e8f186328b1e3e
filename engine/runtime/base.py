"""The protocol of graph runtimes. The rest of the engine imports no runtime library."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from engine.api.errors import BundleInvalid
from engine.bundle.graph_spec import GraphSpec, TensorDtype

Array = NDArray[Any]


class GraphNotLoaded(BundleInvalid):
    """A runtime cannot load a graph: the file is damaged, or the runtime lacks a kernel that the graph needs."""


class Tensor(Protocol):
    """A buffer on the device of the runtime, or on the host for a CPU."""

    def to_host(self) -> Array:
        """A copy of the content."""
        ...


class Graph(Protocol):
    """A loaded graph. Its weights are on the device, except between ``unload`` and the next ``prefetch`` or ``run``."""

    @property
    def spec(self) -> GraphSpec:
        """The graph's entry in the manifest."""
        ...

    def run(self, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
        """Runs on bound buffers, each input and output by name. No buffer may be both.

        Returns when the results are complete, so a check of a cancel flag between calls stops the device within one
        call. Raises ``OutOfMemory`` or ``GraphFailed``.
        """
        ...

    def prefetch(self) -> None:
        """Starts to load the weights while other graphs run. ``run`` waits for that and raises its errors."""
        ...

    def unload(self) -> None:
        """Frees the weights. The graph stays open: a later ``prefetch`` or ``run`` loads them again."""
        ...


class Runtime(Protocol):
    """Loads graphs and allocates their buffers."""

    @property
    def name(self) -> str:
        """Library, version and device."""
        ...

    def load(self, folder: Path, spec: GraphSpec) -> Graph:
        """Loads a graph of a bundle.

        Raises ``BundleInvalid`` or ``OutOfMemory``. Dropping the last reference frees the graph.
        """
        ...

    def upload(self, array: Array) -> Tensor:
        """A buffer with a copy of the array."""
        ...

    def zeros(self, shape: tuple[int, ...], dtype: TensorDtype = "float32") -> Tensor:
        """A buffer of zeros."""
        ...

    def trim(self) -> None:
        """Frees scratch memory that earlier calls left for the next one."""
        ...

    def memory_bytes(self) -> int:
        """Memory in use: on a device by all its users, on a CPU by this process."""
        ...

    def peak_memory_bytes(self) -> int:
        """The highest ``memory_bytes`` so far."""
        ...

    def close(self) -> None:
        """Saves what makes the next start faster. Open graphs stay usable."""
        ...
