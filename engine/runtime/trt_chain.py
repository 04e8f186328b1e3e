"""A graph that was compiled as several plans: runs them one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from engine.bundle.crossing import Crossing, place_crossings
from engine.bundle.graph_spec import EnginePart, GraphSpec
from engine.runtime.base import Graph, Tensor
from engine.runtime.device_tensor import DeviceTensor


class TrtChain:
    """The plans of a graph's groups of blocks, as one graph. Implements ``GraphInParts``.

    Each part waits for its own weights alone, so the first runs while those of the others are still being loaded.
    ``buffers`` gives the tensors that cross between parts; their content is lost with the next call of any chain.
    """

    def __init__(
        self,
        spec: GraphSpec,
        parts: Sequence[EnginePart],
        graphs: Sequence[Graph],
        buffers: Callable[[Mapping[str, Crossing]], Mapping[str, Tensor]],
    ) -> None:
        self._spec = spec
        self._parts = tuple(parts)
        self._graphs = tuple(graphs)
        self._buffers = buffers

    @property
    def spec(self) -> GraphSpec:
        """The graph's entry in the manifest."""
        return self._spec

    def prefetch(self) -> None:
        """See ``Graph.prefetch``. The parts are loaded in their order."""
        for graph in self._graphs:
            graph.prefetch()

    def unload(self) -> None:
        """See ``Graph.unload``."""
        for graph in self._graphs:
            graph.unload()

    def run(self, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
        """See ``Graph.run``."""
        for _ in self.run_parts(inputs, outputs):
            pass

    def run_parts(self, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> Iterator[None]:
        """See ``GraphInParts.run_parts``."""
        crossing = self._buffers(place_crossings(self._parts, self._lengths(inputs)))
        tensors = {**inputs, **outputs, **crossing}
        for part, graph in zip(self._parts, self._graphs, strict=True):
            read = {item.name: tensors[item.name] for item in part.inputs}
            graph.run(read, {item.name: tensors[item.name] for item in part.outputs})
            yield

    def _lengths(self, inputs: Mapping[str, Tensor]) -> dict[str, int]:
        """The lengths of open axes in a call."""
        lengths: dict[str, int] = {}
        for spec in self._spec.inputs:
            given = inputs[spec.name]
            if not isinstance(given, DeviceTensor):
                raise TypeError("a tensor of another runtime was given to TensorRT")
            named = zip(spec.shape, given.shape, strict=True)
            lengths |= {axis: length for axis, length in named if isinstance(axis, str)}
        return lengths
