"""An engine that keeps account of the graphs and buffers in memory, under a memory budget."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from engine.api.cancellation import CancelFlag
from engine.api.capabilities import Geometry, MemoryPlan
from engine.api.events import FrameReady, JobDone
from engine.api.job import Job, PreparedJob, SamplingSpec, VideoSpec
from engine.api.media import Image
from engine.bundle.folder import read_manifest
from engine.bundle.graph_spec import GraphSpec, TensorDtype
from engine.generate.bundle_engine import BundleEngine
from engine.generate.loading import load_bundle
from engine.generate.segment_join import PutBack
from engine.memory.measure import demand_of
from engine.memory.placement import Placement
from engine.runtime.base import Array, Graph, Tensor
from engine.runtime.ort import OrtRuntime, OrtTensor

WIDE, SQUARE = Geometry(64, 48, 9), Geometry(48, 48, 9)


class WatchedGraph:
    """A graph that tells its runtime of each call, and when its weights come and go."""

    def __init__(self, graph: Graph, runtime: WatchedRuntime) -> None:
        self._graph, self._runtime = graph, runtime
        runtime.came(self.spec)

    @property
    def spec(self) -> GraphSpec:
        return self._graph.spec

    def run(self, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
        self.prefetch()
        self._runtime.on_call(self.spec)
        self._graph.run(inputs, outputs)

    def prefetch(self) -> None:
        if self.spec not in self._runtime.present:
            self._runtime.came(self.spec)
        self._graph.prefetch()

    def unload(self) -> None:
        self._runtime.present.remove(self.spec)
        self._graph.unload()


class WatchedRuntime(OrtRuntime):
    """ONNX Runtime that keeps account of what is in memory: graphs with their weights, and bytes of buffers."""

    def __init__(self) -> None:
        super().__init__(thread_count=1)
        self.loads: list[str] = []
        self.present: list[GraphSpec] = []
        self.buffer_bytes = 0
        self.on_call: Callable[[GraphSpec], None] = lambda _: None

    def came(self, spec: GraphSpec) -> None:
        self.loads.append(spec.stage)
        self.present.append(spec)

    def load(self, folder: Path, spec: GraphSpec) -> WatchedGraph:  # type: ignore[override]
        return WatchedGraph(super().load(folder, spec), self)

    def upload(self, array: Array) -> OrtTensor:
        return self._watched(super().upload(array), array.nbytes)

    def zeros(self, shape: tuple[int, ...], dtype: TensorDtype = "float32") -> OrtTensor:
        return self._watched(super().zeros(shape, dtype), int(np.prod(shape)) * np.dtype(dtype).itemsize)

    def _watched(self, tensor: OrtTensor, byte_count: int) -> OrtTensor:
        self.buffer_bytes += byte_count
        weakref.finalize(tensor, self._release, byte_count)
        return tensor

    def _release(self, byte_count: int) -> None:
        self.buffer_bytes -= byte_count


def least_bytes(bundle: Path, geometry: Geometry = WIDE) -> int:
    """Returns the smallest budget that a geometry fits in."""
    manifest, _ = read_manifest(bundle)
    return Placement(demand_of(manifest, geometry, None), None).tightest.peak_bytes


class WatchedEngine:
    """An engine that watches its memory, and a picture for its jobs."""

    def __init__(self, bundle: Path, picture: bytes, budget_bytes: int | None, *, given_frame_count: int = 1) -> None:
        self.runtime = WatchedRuntime()
        loaded = load_bundle(bundle, self.runtime, budget_bytes)
        self.engine = BundleEngine(loaded, 4, join=PutBack(given_frame_count))
        self._picture = picture

    def prepare(self, geometry: Geometry = WIDE, prompt: str = "a red car drives") -> PreparedJob:
        video = VideoSpec(geometry.width_px, geometry.height_px, geometry.frame_count)
        job = Job(Image(self._picture), prompt, "a dog", video, SamplingSpec(step_count=2, seed=7))
        return self.engine.prepare(job)

    def clip(self, job: PreparedJob) -> Array:
        events = list(self.engine.generate(job, CancelFlag()))
        assert isinstance(events[-1], JobDone)
        return np.stack([event.pixels for event in events if isinstance(event, FrameReady)])

    def plan(self, geometry: Geometry = WIDE) -> MemoryPlan:
        (found,) = [plan for plan in self.engine.capabilities().memory_plans if plan.geometry == geometry]
        return found
