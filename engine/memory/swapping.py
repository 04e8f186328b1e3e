"""Loads and unloads graphs as the memory plan says.

``enter`` is called when a stage begins, before its buffers are allocated: graphs that the stage has no room for are
unloaded, and those that should be in memory start to load in the background. A graph that runs in the stage itself is
loaded by its first call, not before: a cached prompt needs no text encoder.

Only the engine's thread enters stages and runs these graphs, one at a time. The scorer's graphs are called from other
threads and are never swapped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from engine.bundle.graph_spec import GraphSpec
from engine.runtime.base import Graph, GraphInParts, Tensor


class SwappedGraph:
    """A graph that is loaded when it is called."""

    def __init__(self, spec: GraphSpec, swapper: GraphSwapper) -> None:
        self._spec = spec
        self._swapper = swapper

    @property
    def spec(self) -> GraphSpec:
        """The graph's entry in the manifest."""
        return self._spec

    def run(self, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
        """See ``Graph.run``. Also raises what opening the graph raises."""
        self._swapper.get(self._spec).run(inputs, outputs)

    def run_parts(self, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> Iterator[None]:
        """See ``GraphInParts.run_parts``; one part where the graph has no others."""
        graph = self._swapper.get(self._spec)
        if isinstance(graph, GraphInParts):
            yield from graph.run_parts(inputs, outputs)
        else:
            graph.run(inputs, outputs)

    def prefetch(self) -> None:
        """See ``Graph.prefetch``."""
        self._swapper.get(self._spec).prefetch()

    def unload(self) -> None:
        """See ``Graph.unload``."""
        self._swapper.leave(self._spec.file)


class GraphSwapper:
    """Graphs by file, opened when first needed.

    ``load`` opens one, on the calling thread or on one background thread.
    """

    def __init__(self, load: Callable[[GraphSpec], Graph]) -> None:
        self._load = load
        self._open: dict[str, Graph] = {}
        self._opening: dict[str, Future[Graph]] = {}
        self._present: dict[str, None] = {}  # in memory or on the way there, in the order of coming
        self._opener = ThreadPoolExecutor(1, thread_name_prefix="open")

    def enter(self, resident: Iterable[GraphSpec], running: Iterable[GraphSpec]) -> None:
        """Frees memory for a stage, and starts to load the graphs that it should hold.

        ``resident`` are all graphs that the stage has room for; the ``running`` ones among them wait for their first
        call.
        """
        wanted = {spec.file: spec for spec in resident}
        for file in reversed(
            [file for file in self._present if file not in wanted]
        ):  # what waits goes before it begins
            self.leave(file)
        later = {spec.file for spec in running}
        for file, spec in wanted.items():
            if file in self._present or file in later:
                continue
            self._present[file] = None
            if file in self._open:
                self._open[file].prefetch()
            else:
                self._opening[file] = self._opener.submit(self._load, spec)

    def get(self, spec: GraphSpec) -> Graph:
        """The open graph. Waits while it is being opened; raises what opening raises."""
        opening = self._opening.pop(spec.file, None)
        if opening is not None:
            self._open[spec.file] = opening.result()
        elif spec.file not in self._open:
            self._open[spec.file] = self._load(spec)
        self._present[spec.file] = None
        return self._open[spec.file]

    def leave(self, file: str) -> None:
        """Frees the weights of a graph. A graph that is being opened cannot be stopped: it is freed once it is open."""
        opening = self._opening.pop(file, None)
        if opening is not None and not opening.cancel() and opening.exception() is None:
            self._open[file] = opening.result()
        if file in self._open:
            self._open[file].unload()
        self._present.pop(file, None)

    def settle(self) -> None:
        """Waits for all graphs that are being opened. Raises what opening raises."""
        while self._opening:
            file, opening = self._opening.popitem()
            self._open[file] = opening.result()

    def close(self) -> None:
        """Frees every graph."""
        for file in list(self._opening):
            self.leave(file)
        self._open.clear()
        self._present.clear()
        self._opener.shutdown()
