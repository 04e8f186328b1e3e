"""Graphs that come and go as the plan says. Knows the runtime's seam; does not know why the plan is as it is.

``enter`` is called as a stage begins, before its buffers are made: graphs that the stage has no room for give back
their weights' memory, and those that should come while it works begin to load beside it. A graph that runs in the stage
and is not there yet is loaded when it is called, not before: a prompt that is cached needs no text encoder.

Only the engine's thread enters stages and runs these graphs, one at a time. The scorer's graphs are called from other
threads, so they never come in here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from engine.bundle.graph_spec import GraphSpec
from engine.runtime.base import Graph, Tensor


class SwappedGraph:
    """A graph that may not even be open yet; a call brings it."""

    def __init__(self, spec: GraphSpec, swapper: GraphSwapper) -> None:
        self._spec = spec
        self._residence = swapper

    @property
    def spec(self) -> GraphSpec:
        """The graph's entry in the manifest."""
        return self._spec

    def run(self, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
        """See ``Graph.run``. Raises also what opening raises."""
        self._residence.get(self._spec).run(inputs, outputs)

    def prefetch(self) -> None:
        """See ``Graph.prefetch``."""
        self._residence.get(self._spec).prefetch()

    def unload(self) -> None:
        """See ``Graph.unload``."""
        self._residence.leave(self._spec.file)


class GraphSwapper:
    """Graphs by file, opened when they are first needed. ``load`` opens one, here or in one thread beside."""

    def __init__(self, load: Callable[[GraphSpec], Graph]) -> None:
        self._load = load
        self._open: dict[str, Graph] = {}
        self._opening: dict[str, Future[Graph]] = {}
        self._present: dict[str, None] = {}  # in memory or on the way there, in the order of coming
        self._opener = ThreadPoolExecutor(1, thread_name_prefix="open")

    def enter(self, resident: Iterable[GraphSpec], running: Iterable[GraphSpec]) -> None:
        """Makes room for a stage, and begins to load what else it should hold.

        ``resident`` are all graphs that it has room for; the ``running`` ones among them wait for their first call.
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
        """The graph, open. Waits where it is being opened; raises what opening raises."""
        opening = self._opening.pop(spec.file, None)
        if opening is not None:
            self._open[spec.file] = opening.result()
        elif spec.file not in self._open:
            self._open[spec.file] = self._load(spec)
        self._present[spec.file] = None
        return self._open[spec.file]

    def leave(self, file: str) -> None:
        """Frees a graph's weights. What is still being opened cannot be stopped: its memory is free after that."""
        opening = self._opening.pop(file, None)
        if opening is not None and not opening.cancel() and opening.exception() is None:
            self._open[file] = opening.result()
        if file in self._open:
            self._open[file].unload()
        self._present.pop(file, None)

    def settle(self) -> None:
        """Waits for all that is being opened. Raises what opening raises."""
        while self._opening:
            file, opening = self._opening.popitem()
            self._open[file] = opening.result()

    def close(self) -> None:
        """Lets go of everything."""
        for file in list(self._opening):
            self.leave(file)
        self._open.clear()
        self._present.clear()
        self._opener.shutdown()
