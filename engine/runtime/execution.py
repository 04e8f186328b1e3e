"""Runs graphs for one job, and checks the job's cancel flag before every call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.api.cancellation import CancelFlag
from engine.runtime.base import Array, Graph, GraphInParts, Runtime, Tensor
from engine.runtime.finite import finite_host_copy


@dataclass(frozen=True, slots=True)
class Execution:
    """A runtime and the cancel flag of a job."""

    runtime: Runtime
    cancel: CancelFlag

    def run(self, graph: Graph, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
        """Runs a graph. Raises ``Cancelled`` if the flag is set before the call, or behind a part of it."""
        self.cancel.check()
        if not isinstance(graph, GraphInParts):
            graph.run(inputs, outputs)
            return
        for _ in graph.run_parts(inputs, outputs):
            self.cancel.check()

    def call(self, graph: Graph, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Runs a graph of fixed shapes on host arrays and returns host arrays. Raises ``NonFiniteOutput``."""
        outputs = {item.name: self.zeros_like_output(graph, item.name) for item in graph.spec.outputs}
        self.run(graph, {name: self.runtime.upload(array) for name, array in inputs.items()}, outputs)
        return {name: finite_host_copy(tensor, graph.spec) for name, tensor in outputs.items()}

    def zeros_like_output(self, graph: Graph, name: str) -> Tensor:
        """A buffer for an output of fixed shape."""
        spec = next(item for item in graph.spec.outputs if item.name == name)
        return self.runtime.zeros(tuple(int(axis) for axis in spec.shape), spec.dtype)
