"""Loading and unloading of graphs by plan, on a real bundle with a budget too small to keep any graph."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event, Timer

import numpy as np
import pytest

from engine import open_engine
from engine.api.cancellation import CancelFlag
from engine.api.capabilities import Geometry, MemoryPlan, StageMemory
from engine.api.errors import BundleInvalid, Cancelled, DoesNotFit
from engine.api.events import Expert, FrameReady, JobDone, Stage
from engine.api.job import Job, PreparedJob, SamplingSpec, VideoSpec
from engine.api.media import Image
from engine.api.settings import EngineSettings
from engine.bundle.folder import read_manifest
from engine.bundle.graph_spec import GraphSpec, TensorDtype
from engine.generate.bundle_engine import BundleEngine
from engine.generate.loading import load_bundle
from engine.memory.measure import demand_of
from engine.memory.placement import Placement
from engine.memory.plan import plan_memory
from engine.memory.swapping import GraphSwapper, SwappedGraph
from engine.runtime.base import Array, Graph, Tensor
from engine.runtime.ort import OrtRuntime, OrtTensor
from tests.memory_demands import a14b_manifest

_WIDE, _SQUARE = Geometry(64, 48, 9), Geometry(48, 48, 9)
# Stage of the job by the graph that runs; guide_and_step runs in both of denoising.
_STAGE_OF: Mapping[str, tuple[Stage, Expert | None]] = {
    "text_encoder": (Stage.ENCODE_TEXT, None),
    "vae_encoder_init": (Stage.ENCODE_IMAGE, None),
    "vae_encoder_step": (Stage.ENCODE_IMAGE, None),
    "transformer_high": (Stage.DENOISE, Expert.HIGH_NOISE),
    "transformer_low": (Stage.DENOISE, Expert.LOW_NOISE),
    "vae_decoder_init": (Stage.DECODE, None),
    "vae_decoder_step": (Stage.DECODE, None),
}


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


def _least_bytes(bundle: Path, geometry: Geometry = _WIDE) -> int:
    """The smallest budget that a geometry fits in."""
    manifest, _ = read_manifest(bundle)
    return Placement(demand_of(manifest, geometry, None), None).tightest.peak_bytes


class Bench:
    """An engine that watches its memory, and a picture for its jobs."""

    def __init__(self, bundle: Path, picture: bytes, budget_bytes: int | None) -> None:
        self.runtime = WatchedRuntime()
        self.engine = BundleEngine(load_bundle(bundle, self.runtime, budget_bytes), 4)
        self._picture = picture

    def prepare(self, geometry: Geometry = _WIDE, prompt: str = "a red car drives") -> PreparedJob:
        video = VideoSpec(geometry.width_px, geometry.height_px, geometry.frame_count)
        job = Job(Image(self._picture), prompt, "a dog", video, SamplingSpec(step_count=2, seed=7))
        return self.engine.prepare(job)

    def clip(self, job: PreparedJob) -> Array:
        events = list(self.engine.generate(job, CancelFlag()))
        assert isinstance(events[-1], JobDone)
        return np.stack([event.pixels for event in events if isinstance(event, FrameReady)])

    def plan(self, geometry: Geometry = _WIDE) -> MemoryPlan:
        (found,) = [plan for plan in self.engine.capabilities().memory_plans if plan.geometry == geometry]
        return found


@pytest.fixture
def tight(tiny_bundle: Path, png: Callable[..., bytes]) -> Bench:
    return Bench(tiny_bundle, png(80, 50), _least_bytes(tiny_bundle))


def _stage(plan: MemoryPlan, key: tuple[Stage, Expert | None]) -> StageMemory:
    (found,) = [item for item in plan.stages if (item.stage, item.expert) == key]
    return found


def test_the_same_clip_whatever_has_to_be_swapped(tight: Bench, tiny_bundle: Path, png: Callable[..., bytes]) -> None:
    roomy = Bench(tiny_bundle, png(80, 50), None)
    assert roomy.plan().swapped == ()
    assert len(tight.plan().swapped) > 0
    expected = roomy.clip(roomy.prepare())
    for _ in range(2):
        np.testing.assert_array_equal(tight.clip(tight.prepare()), expected)
    assert roomy.runtime.loads.count("transformer_low") == 2  # one for each size, once


def test_memory_holds_what_the_plan_says_and_buffers_keep_to_it(tight: Bench) -> None:
    plan, seen = tight.plan(), set()
    key: tuple[Stage, Expert | None] = (Stage.ENCODE_TEXT, None)
    job = tight.prepare()

    def on_call(spec: GraphSpec) -> None:
        nonlocal key
        if spec.stage.startswith("scorer_"):
            return
        key = _STAGE_OF.get(spec.stage, key)
        memory = _stage(plan, key)
        present = [item.stage for item in tight.runtime.present]
        assert set(present) <= set(memory.resident)
        assert len(present) == len(set(present))
        assert tight.runtime.buffer_bytes <= memory.buffer_bytes
        seen.add(key)

    tight.runtime.on_call = on_call
    tight.clip(job)
    tight.clip(job)
    assert seen == set(_STAGE_OF.values())
    assert tight.runtime.buffer_bytes == 0


def test_the_planned_buffers_are_not_much_more_than_the_real_ones(tight: Bench) -> None:
    """A plan that always says too much would pass the test above."""
    most: dict[tuple[Stage, Expert | None], int] = {}
    key: tuple[Stage, Expert | None] = (Stage.ENCODE_TEXT, None)

    def on_call(spec: GraphSpec) -> None:
        nonlocal key
        if not spec.stage.startswith("scorer_"):
            key = _STAGE_OF.get(spec.stage, key)
            most[key] = max(most.get(key, 0), tight.runtime.buffer_bytes)

    tight.runtime.on_call = on_call
    tight.clip(tight.prepare(prompt="a " * 999))  # as many text rows as there can be
    manifest = tight.engine._manifest
    scores = demand_of(manifest, _WIDE, None).standing_buffers.byte_count
    del most[Stage.ENCODE_TEXT, None]  # there the prompts go up after the last call
    assert len(most) == 4
    for stage, real in most.items():
        assert real > 0.75 * (_stage(tight.plan(), stage).buffer_bytes - scores)


def test_a_cached_prompt_needs_no_text_encoder(tight: Bench) -> None:
    job = tight.prepare()
    tight.clip(job)
    tight.runtime.loads.clear()
    tight.clip(job)
    was_prefetched = "text_encoder" in {name for stage in tight.plan().stages for name in stage.prefetched}
    assert tight.runtime.loads.count("text_encoder") == int(was_prefetched)
    tight.clip(tight.prepare(prompt="a blue car stops"))


def test_another_size_takes_the_place_of_the_first(tight: Bench, tiny_bundle: Path, png: Callable[..., bytes]) -> None:
    roomy = Bench(tiny_bundle, png(80, 50), None)
    for geometry in (_SQUARE, _WIDE):
        np.testing.assert_array_equal(tight.clip(tight.prepare(geometry)), roomy.clip(roomy.prepare(geometry)))
        sizes = {(spec.width_px, spec.height_px) for spec in tight.runtime.present} - {(None, None)}
        assert sizes <= {(geometry.width_px, geometry.height_px)}


def test_a_cancelled_job_leaves_the_next_one_whole(tight: Bench) -> None:
    job = tight.prepare()
    expected = tight.clip(job)
    cancel = CancelFlag()

    def on_call(spec: GraphSpec) -> None:
        if spec.stage == "transformer_low":
            cancel.set()

    tight.runtime.on_call = on_call
    with pytest.raises(Cancelled):
        list(tight.engine.generate(job, cancel))
    tight.runtime.on_call = lambda _: None
    np.testing.assert_array_equal(tight.clip(job), expected)


def test_a_server_does_not_start_where_nothing_fits(tiny_bundle: Path) -> None:
    with pytest.raises(DoesNotFit) as refused:
        open_engine(tiny_bundle, EngineSettings(thread_count=1, memory_budget_bytes=2**20 // 4))
    assert str(refused.value).startswith("tiny does not fit: 64x48, 9 frames needs ")
    assert "but may take 0.3 MB; " in str(refused.value)


def test_sizes_that_do_not_fit_are_not_offered(tiny_bundle: Path, png: Callable[..., bytes]) -> None:
    budget_bytes = _least_bytes(tiny_bundle, _SQUARE)
    assert budget_bytes < _least_bytes(tiny_bundle, _WIDE)
    engine = Bench(tiny_bundle, png(80, 50), budget_bytes).engine
    assert engine.capabilities().geometries == (_SQUARE,)
    assert engine.capabilities().memory_budget_bytes == budget_bytes
    (notice,) = [item for item in engine.capabilities().notices if item.startswith("Not served here")]
    assert notice.startswith("Not served here: 64x48, 9 frames needs ")


def test_without_a_budget_the_plan_counts_shared_weights_once(tiny_bundle: Path) -> None:
    manifest, _ = read_manifest(tiny_bundle)
    plan = plan_memory(manifest, None, None)
    assert plan.keeps_everything
    graphs = {spec.file for spec in manifest.graphs}
    weights = sum(
        spec.byte_count for name, spec in manifest.files.items() if name in graphs or name.endswith(".safetensors")
    )
    assert {stage.weight_bytes for item in plan.plans for stage in item.stages} == {weights}


class SlowGraph:
    """A graph that writes down what it is told."""

    def __init__(self, spec: GraphSpec, log: list[str]) -> None:
        self.spec = spec
        self._log = log

    def run(self, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
        self._log.append(f"run {self.spec.stage}")

    def prefetch(self) -> None:
        self._log.append(f"prefetch {self.spec.stage}")

    def unload(self) -> None:
        self._log.append(f"unload {self.spec.stage}")


class Loader:
    """Opens graphs once it may, and can fail."""

    def __init__(self) -> None:
        self.may_go_on = Event()
        self.may_go_on.set()
        self.failures: list[Exception] = []
        self.log: list[str] = []

    def __call__(self, spec: GraphSpec) -> Graph:
        self.may_go_on.wait(10)
        if self.failures:
            raise self.failures.pop()
        self.log.append(f"open {spec.stage}")
        return SlowGraph(spec, self.log)


def _specs() -> tuple[GraphSpec, GraphSpec, GraphSpec]:
    text, _, _, high, *_ = a14b_manifest().graphs
    return text, high, a14b_manifest().graphs[-1]


def test_a_prefetch_that_failed_is_tried_again() -> None:
    text, _, _ = _specs()
    loader = Loader()
    loader.failures.append(BundleInvalid("damaged"))
    residence = GraphSwapper(loader)
    residence.enter([text], [])
    with pytest.raises(BundleInvalid, match="damaged"):
        residence.get(text)
    assert residence.get(text).spec == text
    residence.close()


def test_what_runs_in_a_stage_waits_for_its_call_and_is_opened_once() -> None:
    text, high, _ = _specs()
    loader = Loader()
    residence = GraphSwapper(loader)
    residence.enter([text, high], [text])
    residence.settle()
    assert loader.log == ["open transformer_high"]
    SwappedGraph(text, residence).run({}, {})
    residence.enter([text, high], [high])
    SwappedGraph(high, residence).run({}, {})
    assert loader.log == ["open transformer_high", "open text_encoder", "run text_encoder", "run transformer_high"]
    residence.close()


def test_room_is_made_before_anything_comes() -> None:
    text, high, decoder = _specs()
    loader = Loader()
    residence = GraphSwapper(loader)
    residence.enter([text], [])
    residence.settle()
    residence.enter([high], [])
    residence.settle()
    residence.enter([text, decoder], [])
    residence.settle()
    unloads = [loader.log.index(f"unload {stage}") for stage in ("text_encoder", "transformer_high")]
    assert unloads[0] < loader.log.index("open transformer_high") < unloads[1]
    assert unloads[1] < loader.log.index("prefetch text_encoder")
    assert unloads[1] < loader.log.index("open vae_decoder_step")
    residence.close()


def test_what_is_still_being_opened_leaves_as_well() -> None:
    text, high, _ = _specs()
    loader = Loader()
    residence = GraphSwapper(loader)
    loader.may_go_on.clear()
    residence.enter([text, high], [])  # one thread opens them one after another
    Timer(0.05, loader.may_go_on.set).start()
    residence.enter([], [])
    assert loader.log == ["open text_encoder", "unload text_encoder"]
    SwappedGraph(high, residence).run({}, {})
    assert loader.log[2:] == ["open transformer_high", "run transformer_high"]
    residence.close()
