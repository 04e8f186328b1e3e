"""An engine whose graph calls are recorded, and shortcuts to its events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from engine.api.cancellation import CancelFlag
from engine.api.events import Event, FrameReady, JobDone
from engine.api.job import Job, MatchPolicy, PreparedJob, SamplingSpec, VideoSpec
from engine.api.media import Image
from engine.bundle.graph_spec import GraphSpec
from engine.generate.bundle_engine import BundleEngine
from engine.generate.loading import load_bundle
from engine.generate.segment_join import PutBack
from engine.runtime.base import Array, Graph, Tensor
from engine.runtime.ort import OrtRuntime

_ENCODE = ["vae_encoder_init", "vae_encoder_step", "vae_encoder_step"]
_DENOISE = ["transformer_high", "guide_and_step", "transformer_low", "guide_and_step"]
_DECODE = ["vae_decoder_init", "vae_decoder_step", "vae_decoder_step"]
# Nine frames are three latent frames; two steps are one of each expert.
ALL_CALLS = ["scorer_image", "scorer_text", "text_encoder", "text_encoder", *_ENCODE, *_DENOISE, *_DECODE]


class RecordingGraph:
    """A graph that tells its runtime of each call, before and after."""

    def __init__(self, graph: Graph, runtime: RecordingRuntime) -> None:
        self._graph, self._runtime = graph, runtime

    @property
    def spec(self) -> GraphSpec:
        return self._graph.spec

    def run(self, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
        self._runtime.calls.append(self.spec.stage)
        if "prediction" in outputs:
            self._runtime.prediction_row_counts.append(len(outputs["prediction"].to_host()))
        self._graph.run(inputs, outputs)
        self._runtime.after_call()

    def prefetch(self) -> None:
        self._graph.prefetch()

    def unload(self) -> None:
        self._graph.unload()


class RecordingRuntime(OrtRuntime):
    """ONNX Runtime that writes down which graphs were called, and does ``after_call`` after each call."""

    def __init__(self) -> None:
        super().__init__(thread_count=1)
        self.calls: list[str] = []
        self.prediction_row_counts: list[int] = []
        self.after_call: Callable[[], None] = lambda: None

    def load(self, folder: Path, spec: GraphSpec) -> RecordingGraph:  # type: ignore[override]
        return RecordingGraph(super().load(folder, spec), self)


class RecordedEngine:
    """An engine on a recording runtime, and a picture for its jobs."""

    def __init__(
        self,
        bundle: Path,
        picture: bytes,
        text_cache_entry_count: int = 8,
        picture_cache_bytes: int = 0,
        *,
        given_frame_count: int = 1,
    ) -> None:
        self.runtime = RecordingRuntime()
        bundled = load_bundle(bundle, self.runtime)
        self.engine = BundleEngine(
            bundled, text_cache_entry_count, picture_cache_bytes=picture_cache_bytes, join=PutBack(given_frame_count)
        )
        self._picture = picture

    def prepare(
        self,
        prompt: str = "a white cat jumps to the left",
        *,
        width_px: int = 64,
        sampling: SamplingSpec = SamplingSpec(step_count=2, seed=7),
        match: MatchPolicy = MatchPolicy(),
        preview_every_step_count: int = 0,
    ) -> PreparedJob:
        video = VideoSpec(width_px, 48, 9)
        job = Job(Image(self._picture), prompt, "a dog", video, sampling, match, preview_every_step_count)
        return self.engine.prepare(job)

    def start(self, job: PreparedJob, cancel: CancelFlag | None = None) -> Iterator[Event]:
        self.runtime.calls.clear()
        self.runtime.prediction_row_counts.clear()
        return self.engine.generate(job, cancel or CancelFlag())

    def run(self, job: PreparedJob) -> list[Event]:
        return list(self.start(job))


def frames_of(events: list[Event]) -> Array:
    return np.stack([event.pixels for event in events if isinstance(event, FrameReady)])


def summary_of(events: list[Event]) -> JobDone:
    assert isinstance(events[-1], JobDone)
    return events[-1]


def advance_to(kind: type[Event], events: Iterator[Event]) -> Event:
    return next(event for event in events if isinstance(event, kind))
