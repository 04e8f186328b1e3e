"""A whole clip on the GPU: the frames equal the CPU's, and a cancel takes effect within one graph call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.device.timed_cancel import TimedCancel
from engine import open_engine
from engine.api.cancellation import CancelFlag
from engine.api.engine import Engine
from engine.api.errors import Cancelled
from engine.api.events import Event, FrameReady, JobDone, StepDone
from engine.api.job import Job, PreparedJob, SamplingSpec, VideoSpec
from engine.api.media import Image
from tests.gpu.report import Report
from tests.gpu.roads import Road

_STEP_COUNT = 8
_MIN_PSNR_DB = 45.0
_LATEST_STEP = 20  # a step of the tiny bundles takes a millisecond, and the timer may come late
_HOST = Road("onnxruntime", "cpu")


def _job(engine: Engine, png: Callable[..., bytes], step_count: int = _STEP_COUNT) -> PreparedJob:
    size = engine.capabilities().geometries[0]
    job = Job(
        image=Image(png(size.width_px, size.height_px)),
        prompt="a red car drives to the left while it rains",
        sampling=SamplingSpec(seed=11, step_count=step_count, guidance_scale=3.0),
        video=VideoSpec(width_px=size.width_px, height_px=size.height_px, frame_count=size.frame_count),
    )
    return engine.prepare(job)


def test_a_clip_equals_the_hosts(
    bundle: Path, bundle_name: str, road: Road, png: Callable[..., bytes], tmp_path: Path, report: Report
) -> None:
    clips, figures = [], {}
    for number, each in enumerate((road, road, _HOST)):  # the second finds cached kernels on disk
        engine = open_engine(bundle, each.engine_settings(tmp_path))
        started = time.perf_counter()
        events = list(engine.generate(_job(engine, png), CancelFlag()))
        name = ("first", "second", "host")[number]
        figures[f"{name}_seconds"] = time.perf_counter() - started
        clips.append(np.stack([event.pixels for event in events if isinstance(event, FrameReady)]).astype(float))
        done = next(event for event in events if isinstance(event, JobDone))
        figures[f"{name}_peak_memory_bytes"] = done.peak_memory_bytes
        engine.close()
    assert np.array_equal(clips[0], clips[1]), "the same seed gives the same bytes on one card"
    mean_square = float(np.mean((clips[0] - clips[2]) ** 2))
    psnr_db = 100.0 if mean_square == 0 else 10 * np.log10(255.0**2 / mean_square)
    report.add("clips", f"{road}/{bundle_name}", psnr_db=psnr_db, frame_count=len(clips[0]), **figures)
    assert psnr_db >= _MIN_PSNR_DB


def test_cancel_ends_within_one_call(
    bundle: Path, bundle_name: str, road: Road, png: Callable[..., bytes], tmp_path: Path, report: Report
) -> None:
    engine = open_engine(bundle, road.engine_settings(tmp_path))
    job = _job(engine, png, step_count=50)
    warm = list(engine.generate(_job(engine, png, step_count=2), CancelFlag()))
    latencies = []
    step_seconds = [event.step_seconds for event in warm if isinstance(event, StepDone)]
    for wait_seconds in (0.0, 0.02, 0.05):
        with TimedCancel(wait_seconds) as cancel, pytest.raises(Cancelled):
            _follow(engine.generate(job, cancel.flag), cancel, step_seconds)
        latencies.append(cancel.seconds_since())
    longest_step_seconds = max(step_seconds)
    report.add(
        "cancel", f"{road}/{bundle_name}", latency_seconds=max(latencies), longest_step_seconds=longest_step_seconds
    )
    assert road.device == "cpu" or max(latencies) < longest_step_seconds + 0.1  # a CPU has other work
    engine.close()


def _follow(events: Iterator[Event], cancel: TimedCancel, step_seconds: list[float]) -> None:
    """Notes the seconds of each step; the cancel's time begins with the end of the first, and ends before step 20."""
    for event in events:
        if isinstance(event, StepDone):
            step_seconds.append(event.step_seconds)
            if event.completed_step_count == 1:
                cancel.start()
            while event.completed_step_count == _LATEST_STEP and not cancel.flag.is_set:
                time.sleep(0.001)
