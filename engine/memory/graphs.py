"""The graphs of a bundle, loaded and unloaded as the memory plan says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from engine.api.capabilities import Geometry
from engine.api.events import Expert, Stage
from engine.bundle.graph_spec import GraphName, GraphSpec
from engine.bundle.manifest import Manifest
from engine.memory.load_log import LoggedLoad
from engine.memory.measure import SCORER_GRAPHS, graph_for, graph_names_of, runs_in
from engine.memory.plan import BundleMemoryPlan
from engine.memory.swapping import GraphSwapper, SwappedGraph
from engine.runtime.base import Graph, Runtime


class BundleGraphs:
    """Every graph that the planned geometries need.

    If the plan keeps everything, all graphs are loaded once and stay. Otherwise they are swapped as stages begin.
    """

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        runtime: Runtime,
        plan: BundleMemoryPlan,
        compute_capability: str | None = None,
    ) -> None:
        self._plan = plan
        self._runtime = runtime
        self._family = manifest.family
        self._specs = {
            (name, geometry): graph_for(manifest, name, geometry, compute_capability)
            for geometry in plan.geometries
            for name in graph_names_of(manifest)
        }
        load = LoggedLoad(partial(runtime.load, folder), len({spec.file for spec in self._specs.values()}))
        self._swapper: GraphSwapper | None = None
        self._graphs: dict[str, Graph] = {}
        if plan.keeps_everything:
            self._graphs = _load_all(load, self._specs.values())
            return
        self._swapper = GraphSwapper(load)
        standing = [spec for (name, _), spec in self._specs.items() if name in SCORER_GRAPHS]
        swapped = {spec.file: SwappedGraph(spec, self._swapper) for spec in self._specs.values()}
        self._graphs = {**swapped, **_load_all(load, standing)}
        self.enter(plan.geometries[0], Stage.ENCODE_TEXT)
        self._swapper.settle()  # what cannot be loaded stops the start, not the first job

    def get(self, name: GraphName, geometry: Geometry) -> Graph:
        """The graph of a name for a geometry."""
        return self._graphs[self._specs[name, geometry].file]

    def enter(self, geometry: Geometry, stage: Stage, expert: Expert | None = None) -> None:
        """Prepares memory for a stage of a job. Call it before the stage allocates buffers."""
        self._runtime.trim()  # scratch of the stage before, which may have been larger
        if self._swapper is None:
            return
        (memory,) = [item for item in self._plan.of(geometry).stages if (item.stage, item.expert) == (stage, expert)]
        specs = {name: spec for (name, size), spec in self._specs.items() if size == geometry}
        resident = [spec for name, spec in specs.items() if name in memory.resident and name not in SCORER_GRAPHS]
        self._swapper.enter(resident, [specs[name] for name in runs_in(self._family, stage, expert)])

    def close(self) -> None:
        """Frees every graph."""
        if self._swapper is not None:
            self._swapper.close()
        self._graphs.clear()


def _load_all(load: Callable[[GraphSpec], Graph], specs: Iterable[GraphSpec]) -> dict[str, Graph]:
    by_file = {spec.file: spec for spec in specs}
    with ThreadPoolExecutor() as pool:  # loading is native code that releases the interpreter
        return dict(zip(by_file, pool.map(load, by_file.values()), strict=True))
