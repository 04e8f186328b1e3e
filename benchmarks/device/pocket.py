"""Step 1: pocket's bundle through the engine on the device, and the same clip on the CPU.

Clips, cancels, reloads and a device without memory; whatever runtime the machine offers for the device runs them.
"""

from __future__ import annotations

import io
import math
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from benchmarks.device.attempts import Attempts
from benchmarks.device.device_runtime import POCKET, device_runtime, engine_settings
from benchmarks.device.full_card import FullCard
from benchmarks.device.reloads import measure_reloads
from benchmarks.device.steps import Setting
from benchmarks.device.timed_cancel import TimedCancel
from engine import open_engine
from engine.api.cancellation import CancelFlag
from engine.api.engine import Engine
from engine.api.errors import Cancelled, DeviceUnavailable, OutOfMemory
from engine.api.events import Event, FrameReady, JobDone, StepDone
from engine.api.job import Job, PreparedJob, SamplingSpec
from engine.api.media import Image
from engine.runtime.base import Array

_PROMPT = "a red car drives to the left while it rains"
_IMPOSSIBLE_BYTES = 1 << 46  # more than any device has
_LEAST_PSNR_DB = 45.0
_EQUAL_DB = 100.0  # stands for the PSNR of equal clips in the record


@dataclass(frozen=True)
class _Counts:
    """Denoising steps of a clip, cancels, and reloads."""

    steps: int
    cancels: int
    reloads: int


_TRUE, _TINY = _Counts(20, 20, 50), _Counts(3, 3, 3)


def run(setting: Setting, attempts: Attempts) -> None:
    """Everything that pocket shows of the device; nothing where no runtime serves it there."""
    counts = _TINY if setting.is_tiny else _TRUE
    with tempfile.TemporaryDirectory() as folder:
        try:
            pocket = _Pocket(setting, attempts, counts, Path(folder))
        except DeviceUnavailable as error:
            attempts.leave_out("all", str(error))
            return
        attempts.attempt("clips", 10, pocket.clips)
        attempts.attempt("cancels", 10, pocket.cancels)
        attempts.attempt("reloads", 10, partial(measure_reloads, setting, attempts, counts.reloads, Path(folder)))
        attempts.attempt("impossible_allocation", 5, pocket.impossible_allocation)
        if setting.device == "cuda":
            attempts.attempt("full_card", 20, pocket.full_card)
        else:
            attempts.leave_out("full_card", "the host's memory is not filled: other programs would be killed")


class _Pocket:
    """The engine on the device, and the clip that every good job must give again."""

    def __init__(self, setting: Setting, attempts: Attempts, counts: _Counts, cache_folder: Path) -> None:
        self._setting, self._attempts, self._counts = setting, attempts, counts
        self._cache_folder = cache_folder
        started = time.perf_counter()
        self._engine = open_engine(POCKET, engine_settings(setting, setting.device, cache_folder))
        attempts.figure("open_seconds", time.perf_counter() - started)
        capabilities = self._engine.capabilities()
        attempts.machine("engine_runtime", capabilities.runtime)
        attempts.machine("engine_device", capabilities.device)
        self._expected = self._frames(self._engine)

    def clips(self) -> None:
        """The same bytes twice, seconds of a clip and of its steps, and the difference to the CPU's clip."""
        figure = self._attempts.figure
        started = time.perf_counter()
        events = list(self._engine.generate(self._job(self._engine), CancelFlag()))
        figure("clip_seconds", time.perf_counter() - started)
        steps = [event.step_seconds for event in events if isinstance(event, StepDone)]
        figure("step_seconds", statistics.median(steps))
        (done,) = (event for event in events if isinstance(event, JobDone))
        figure("peak_memory_bytes", done.peak_memory_bytes)
        self._check_bytes(_frames_of(events))
        with self._opened("cpu") as host:
            started = time.perf_counter()
            on_host = self._frames(host)
            figure("cpu_clip_seconds", time.perf_counter() - started)
        psnr_db = _psnr_db(self._expected, on_host)
        figure("psnr_to_cpu_db", psnr_db)
        if psnr_db < _LEAST_PSNR_DB:
            raise ArithmeticError(f"the clip differs from the CPU's: {psnr_db:.1f} dB")

    def cancels(self) -> None:
        """Cancels at random times, from another thread; then a good job."""
        generator = np.random.default_rng(0)
        started = time.perf_counter()
        self._frames(self._engine)
        clip_seconds = time.perf_counter() - started
        latencies = []
        for _ in range(self._counts.cancels):
            with TimedCancel(generator.uniform(0.0, 0.5 * clip_seconds)) as cancel:
                cancel.start()
                try:
                    list(self._engine.generate(self._job(self._engine), cancel.flag))
                except Cancelled:
                    latencies.append(cancel.seconds_since())
        self._attempts.figure("cancel_count", len(latencies))
        self._attempts.figure("cancel_median_seconds", statistics.median(latencies))
        self._attempts.figure("cancel_longest_seconds", max(latencies))
        self._check_bytes(self._frames(self._engine))

    def impossible_allocation(self) -> None:
        """A buffer that no device holds is refused as lack of memory; then a good job."""
        runtime = device_runtime(self._setting, self._cache_folder)
        started = time.perf_counter()
        try:
            runtime.zeros((_IMPOSSIBLE_BYTES // 8,), "int64")
        except OutOfMemory:
            self._attempts.figure("refused_allocation_seconds", time.perf_counter() - started)
        else:
            raise MemoryError(f"{_IMPOSSIBLE_BYTES} bytes were allocated")
        self._check_bytes(self._frames(self._engine))

    def full_card(self) -> None:
        """With the card full, opening the bundle or its job ends with lack of memory; then good jobs, old and new."""
        with FullCard() as hog:
            self._attempts.figure("hog_bytes", hog.byte_count)
            try:
                with self._opened(self._setting.device) as engine:
                    self._frames(engine)
            except OutOfMemory as error:
                self._attempts.machine("full_card_error", str(error))
            else:
                raise MemoryError("a second engine opened and made a clip on a full card")
        self._check_bytes(self._frames(self._engine))
        with self._opened(self._setting.device) as engine:
            self._check_bytes(self._frames(engine))
        self._attempts.figure("good_jobs_after_full_card_count", 2)

    @contextmanager
    def _opened(self, device: str) -> Iterator[Engine]:
        engine = open_engine(POCKET, engine_settings(self._setting, device, self._cache_folder))
        try:
            yield engine
        finally:
            engine.close()

    def _job(self, engine: Engine) -> PreparedJob:
        buffer = io.BytesIO()
        size = engine.capabilities().geometries[0]
        pixels = np.random.default_rng(3).integers(0, 256, (size.height_px, size.width_px, 3), dtype=np.uint8)
        Pillow.fromarray(pixels).save(buffer, "PNG")
        sampling = SamplingSpec(seed=11, step_count=self._counts.steps, guidance_scale=3.0)
        return engine.prepare(Job(Image(buffer.getvalue()), _PROMPT, sampling=sampling))

    def _frames(self, engine: Engine) -> Array:
        return _frames_of(engine.generate(self._job(engine), CancelFlag()))

    def _check_bytes(self, frames: Array) -> None:
        if not np.array_equal(frames, self._expected):
            psnr_db = _psnr_db(frames, self._expected)
            raise ArithmeticError(f"the same seed gave other bytes: {psnr_db:.1f} dB")


def _frames_of(events: Iterable[Event]) -> Array:
    """Frames of a clip, uint8 [count, height, width, 3]."""
    return np.stack([event.pixels for event in events if isinstance(event, FrameReady)])


def _psnr_db(actual: Array, expected: Array) -> float:
    mean_square = float(np.mean((actual.astype(np.float64) - expected) ** 2))
    return _EQUAL_DB if mean_square == 0.0 else 10.0 * math.log10(255.0**2 / mean_square)
