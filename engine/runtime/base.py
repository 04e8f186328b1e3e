"""The protocol of graph runtimes. The rest of the engine imports no runtime library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

from engine.api.errors import BundleInvalid
from engine.bundle.graph_spec import GraphSpec, TensorDtype

Array = NDArray[Any]


# Of GPUs: a new length of the prompt compiles kernels, and masked rows change no result.
PROMPT_ROW_COUNTS = (64, 128, 256, 512)


class GraphNotLoaded(BundleInvalid):
    """A runtime cannot load a graph: the file is damaged, or the runtime lacks a kernel that the graph needs."""


class Tensor(Protocol):
    """A buffer on the device of the runtime, or on the host for a CPU."""

    def row(self, index: int) -> Tensor:
        """The part ``[index : index + 1]`` of the first axis: a view of the same memory."""
        ...

    def update(self, array: Array) -> None:
        """Overwrites the content with an array of the same shape and dtype, in the order of graph calls."""
        ...

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


@runtime_checkable
class GraphInParts(Graph, Protocol):
    """A graph that runs in several parts, so that a cancelled job stops the device within one of them."""

    def run_parts(self, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> Iterator[None]:
        """``run``, which yields when a part is complete. A caller may stop there; then the outputs are incomplete."""
        ...


@dataclass(frozen=True, slots=True)
class CallShapes:
    """Shapes in which a runtime computes a transformer best.

    ``prediction_count``: predictions of one call, 2 where both halves of guidance go together, else 1 and the halves
    run one after the other. ``prompt_row_counts``: lengths, ascending, to which the rows of prompts are padded with
    masked rows, so that few shapes occur; empty: any length.
    """

    prediction_count: int = 2
    prompt_row_counts: tuple[int, ...] = ()


class Runtime(Protocol):
    """Loads graphs and allocates their buffers."""

    @property
    def call_shapes(self) -> CallShapes:
        """The shapes in which the transformers are called."""
        ...

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
