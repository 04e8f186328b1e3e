"""Runs the causal VAE over a clip chunk by chunk, passing the caches of its convolutions from call to call.

Output ``next_cache_07`` of one call is input ``cache_07`` of the next. Two banks of caches alternate, so that no call
reads what it writes. A cache that the first call does not output starts as zeros.
"""

from __future__ import annotations

from engine.runtime.base import Array, Graph, Tensor
from engine.runtime.execution import Execution
from engine.runtime.finite import finite_host_copy

_NEXT = "next_"


class CausalVaeStream:
    """One pass over a clip. ``step`` None: the pass has one chunk."""

    def __init__(self, execution: Execution, init: Graph, step: Graph | None) -> None:
        self._execution = execution
        self._init, self._step = init, step
        self._is_first = True
        self._current, self._following = self._bank(), self._bank()

    def run(self, chunk: Array) -> Array:
        """The result of the next chunk, which goes to the graph's only input that is no cache.

        Raises ``NonFiniteOutput``.
        """
        graph = self._init if self._is_first else self._step
        if graph is None:
            raise ValueError("this stream was opened for one chunk")
        source = next(item.name for item in graph.spec.inputs if item.name not in self._current)
        given = [item.name for item in graph.spec.outputs if item.name.startswith(_NEXT)]
        target = next(item.name for item in graph.spec.outputs if item.name not in given)
        result = self._execution.zeros_like_output(graph, target)
        inputs = {source: self._execution.runtime.upload(chunk)}
        if not self._is_first:
            inputs |= self._current
        outputs = {target: result, **{name: self._following[name.removeprefix(_NEXT)] for name in given}}
        self._execution.run(graph, inputs, outputs)
        self._current, self._following = self._following, self._current
        self._is_first = False
        return finite_host_copy(result, graph.spec)

    def _bank(self) -> dict[str, Tensor]:
        caches = (
            [] if self._step is None else [item for item in self._step.spec.inputs if item.name.startswith("cache_")]
        )
        zeros = self._execution.runtime.zeros
        return {item.name: zeros(tuple(int(axis) for axis in item.shape), item.dtype) for item in caches}
