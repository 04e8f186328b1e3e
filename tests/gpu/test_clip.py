"""A whole clip on the GPU: the frames equal the host's, and a cancel takes effect within one graph call."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from engine import open_engine
from engine.api.cancellation import CancelFlag
from engine.api.engine import Engine
from engine.api.errors import Cancelled
from engine.api.events import Event, FrameReady, JobDone, StepDone
from engine.api.job import Job, PreparedJob, SamplingSpec, VideoSpec
from engine.api.media import Image
from engine.api.settings import EngineSettings, RuntimeName
from tests.gpu.report import Report

_STEP_COUNT = 8
_MIN_PSNR_DB = 45.0


def _engine(bundle: Path, runtime: RuntimeName, folder: Path) -> Engine:
    return open_engine(bundle, EngineSettings(runtime=runtime, kernel_cache_folder=folder))


def _job(engine: Engine, png: Callable[..., bytes], step_count: int = _STEP_COUNT) -> PreparedJob:
    size = engine.capabilities().geometries[0]
    job = Job(
        image=Image(png(size.width_px, size.height_px)),
        prompt="a red car drives to the left while it rains",
        sampling=SamplingSpec(seed=11, step_count=step_count, guidance_scale=3.0),
        video=VideoSpec(width_px=size.width_px, height_px=size.height_px, frame_count=size.frame_count),
    )
    return engine.prepare(job)


def test_a_clip_equals_the_hosts(bundle: Path, png: Callable[..., bytes], tmp_path: Path, report: Report) -> None:
    clips, figures = [], {}
    runs: tuple[RuntimeName, ...] = ("tensorrt", "tensorrt", "onnxruntime")  # the second finds cached kernels on disk
    for runtime in runs:
        engine = _engine(bundle, runtime, tmp_path)
        started = time.perf_counter()
        events = list(engine.generate(_job(engine, png), CancelFlag()))
        seconds = time.perf_counter() - started
        clips.append(np.stack([event.pixels for event in events if isinstance(event, FrameReady)]).astype(float))
        done = next(event for event in events if isinstance(event, JobDone))
        figures[f"{runtime}_seconds"] = seconds
        figures[f"{runtime}_peak_memory_bytes"] = done.peak_memory_bytes
        engine.close()
    assert np.array_equal(clips[0], clips[1]), "the same seed gives the same bytes on one card"
    mean_square = float(np.mean((clips[0] - clips[2]) ** 2))
    psnr_db = 100.0 if mean_square == 0 else 10 * np.log10(255.0**2 / mean_square)
    report.add("clips", bundle.name, psnr_db=psnr_db, frame_count=len(clips[0]), **figures)
    assert psnr_db >= _MIN_PSNR_DB


def test_cancel_ends_within_one_call(bundle: Path, png: Callable[..., bytes], tmp_path: Path, report: Report) -> None:
    engine = _engine(bundle, "tensorrt", tmp_path)
    job = _job(engine, png, step_count=50)
    list(engine.generate(_job(engine, png, step_count=2), CancelFlag()))
    latencies, longest_step_seconds = [], 0.0
    for wait_seconds in (0.0, 0.02, 0.05):
        watch = _Watch(wait_seconds)
        with pytest.raises(Cancelled):
            watch.follow(engine.generate(job, watch.cancel))
        latencies.append(time.perf_counter() - watch.asked_at)
        longest_step_seconds = max(longest_step_seconds, watch.longest_step_seconds)
    report.add("cancel", bundle.name, latency_seconds=max(latencies), longest_step_seconds=longest_step_seconds)
    assert max(latencies) < longest_step_seconds + 0.1
    engine.close()


class _Watch:
    """Watches a job and cancels it from another thread, ``wait_seconds`` after its first step."""

    def __init__(self, wait_seconds: float) -> None:
        self.cancel = CancelFlag()
        self.asked_at = 0.0
        self.longest_step_seconds = 0.0
        self._timer = threading.Timer(wait_seconds, self._ask)

    def follow(self, events: Iterator[Event]) -> None:
        for event in events:
            if isinstance(event, StepDone):
                if event.completed_step_count == 1:
                    self._timer.start()
                self.longest_step_seconds = max(self.longest_step_seconds, event.step_seconds)

    def _ask(self) -> None:
        self.asked_at = time.perf_counter()
        self.cancel.set()
