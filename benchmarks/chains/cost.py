"""What a chain costs: time, wait for the first frame, and memory, beside as many single clips.

    python -m benchmarks.chains.cost --json FILE [--bundle B ...] [--segments 1 2 3 4] [--repeats 5]
                                     [--steps N] [--threads 1] [--given-frame-count 1]

For each repeat and number of segments n, one engine makes a chain of n segments and n single clips of the same
sentences, each with a picture of its own, in turns: every second repeat begins with the clips. No sentence or picture
comes twice, so that no cache answers but for the negative prompt. No match is scored. Ratios are medians over repeats,
chain / clips: ``time_ratio`` of seconds and ``processor_time_ratio`` of the process's own processor seconds, from the
prepared job to the last frame; ``first_frame_ratio`` is the wait for the first frame of the chain, over that for the
first frame of the first clip. ``text_call_count`` counts the calls of the text encoder's graph for one chain.

``peak_bytes`` is the peak memory of a fresh process that opens the bundle and makes one chain of n segments.
``--bundle`` may be repeated; names of figures begin with the size.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as PilImage

from benchmarks.chains.methods import chain_job, clip_job
from benchmarks.processes import first_line, spawn
from benchmarks.report import Report
from engine.api.cancellation import CancelFlag
from engine.api.capabilities import Geometry
from engine.api.events import FrameReady
from engine.api.job import PreparedJob
from engine.api.settings import EngineSettings
from engine.generate.bundle_engine import BundleEngine
from engine.generate.loading import load_bundle
from engine.generate.segment_join import PutBack
from engine.runtime.base import Tensor
from engine.runtime.ort import OrtRuntime
from engine.runtime.process_memory import peak_resident_bytes
from pocket.settings import BUNDLE_FOLDER

_TARGETS = {"time_ratio": 1.02, "processor_time_ratio": 1.02, "first_frame_ratio": 1.1, "memory_growth_ratio": 1.02}
_WORKER = "--worker"


@dataclass(frozen=True)
class Timing:
    """Seconds of one or more jobs, and the wait for the first frame of the first one."""

    seconds: float
    processor_seconds: float
    first_frame_seconds: float


class Side:
    """An engine, and jobs whose sentences and pictures never come twice."""

    def __init__(self, bundle: Path, thread_count: int, step_count: int | None, given_frame_count: int) -> None:
        self.loaded = load_bundle(bundle, OrtRuntime(thread_count))
        self.join = PutBack(given_frame_count)
        self.engine = BundleEngine(self.loaded, EngineSettings().text_cache_entry_count, join=self.join)
        self.geometry: Geometry = self.loaded.plan.geometries[0]
        self._step_count = step_count
        self._draw = np.random.default_rng(0)
        self._number = 0

    def clips(self, count: int) -> list[PreparedJob]:
        """Single clips."""
        return [self._clip() for _ in range(count)]

    def chain(self, segment_count: int) -> PreparedJob:
        """A chain; of one segment a single clip."""
        clip = self._clip()
        sentences = [clip.prompt, *(self._sentence() for _ in range(segment_count - 1))]
        return clip if segment_count == 1 else chain_job(clip, sentences, self.join)

    def _clip(self) -> PreparedJob:
        return clip_job(self.engine, self._picture(), self._sentence(), self._number, self._step_count)

    def _sentence(self) -> str:
        self._number += 1
        return f"The cat number {self._number} walks to the left, and the light fades."

    def _picture(self) -> bytes:
        coarse = self._draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        size = self.geometry.width_px, self.geometry.height_px
        stream = io.BytesIO()
        PilImage.fromarray(coarse).resize(size, PilImage.Resampling.BICUBIC).save(stream, "PNG")
        return stream.getvalue()


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures every bundle, prints the figures and writes them after each number of segments."""
    options = _options(arguments)
    figures: dict[str, float] = {
        "repeat_count": options.repeats,
        "thread_count": options.threads,
        "given_frame_count": options.given_frame_count,
    }
    for bundle in options.bundle or [BUNDLE_FOLDER]:
        side = Side(bundle, options.threads, options.steps, options.given_frame_count)
        size = f"{side.geometry.width_px}x{side.geometry.height_px}x{side.geometry.frame_count}"
        _time([*side.clips(1), side.chain(2)], side)  # a warm-up
        for count in options.segments:
            figures |= {f"{size}_{count}_{name}": value for name, value in _compared(side, count, options.repeats)}
            peak = _peak_bytes(bundle, count, options)
            figures[f"{size}_{count}_peak_bytes"] = peak
            figures[f"{size}_{count}_memory_growth_ratio"] = peak / figures[f"{size}_{options.segments[0]}_peak_bytes"]
            report = Report("chains_cost", figures, _targets_of(figures))
            report.write(options.json)
        side.engine.close()
    report.show()


def _compared(side: Side, segment_count: int, repeat_count: int) -> Iterator[tuple[str, float]]:
    """Figures of one number of segments."""
    pairs: list[tuple[Timing, Timing]] = []
    for repeat in range(repeat_count):
        chain, clips = [side.chain(segment_count)], side.clips(segment_count)
        if repeat % 2:
            of_clips, of_chain = _time(clips, side), _time(chain, side)
        else:
            of_chain, of_clips = _time(chain, side), _time(clips, side)
        pairs.append((of_chain, of_clips))
    for name, key in (
        ("time_ratio", "seconds"),
        ("processor_time_ratio", "processor_seconds"),
        ("first_frame_ratio", "first_frame_seconds"),
    ):
        yield name, statistics.median(getattr(chain, key) / getattr(clips, key) for chain, clips in pairs)
    yield "chain_seconds", statistics.median(chain.seconds for chain, _ in pairs)
    yield "clips_seconds", statistics.median(clips.seconds for _, clips in pairs)
    yield "first_frame_seconds", statistics.median(chain.first_frame_seconds for chain, _ in pairs)
    yield "text_call_count", _text_call_count(side, segment_count)


def _time(jobs: Sequence[PreparedJob], side: Side) -> Timing:
    started, started_processor, first = time.perf_counter(), time.process_time(), 0.0
    for job in jobs:
        for event in side.engine.generate(job, CancelFlag()):
            if not first and isinstance(event, FrameReady):
                first = time.perf_counter() - started
    return Timing(time.perf_counter() - started, time.process_time() - started_processor, first)


def _text_call_count(side: Side, segment_count: int) -> int:
    graph = side.loaded.graphs.get("text_encoder", side.geometry)
    run, calls = graph.run, []

    def counted(inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
        calls.append(1)
        run(inputs, outputs)

    graph.run = counted  # type: ignore[method-assign]
    _time([side.chain(segment_count)], side)
    graph.run = run  # type: ignore[method-assign]
    return len(calls)


def _peak_bytes(bundle: Path, segment_count: int, options: argparse.Namespace) -> int:
    """Peak memory of a fresh process that makes one chain."""
    numbers = json.dumps([segment_count, options.threads, options.steps, options.given_frame_count])
    process = spawn("benchmarks.chains.cost", _WORKER, str(bundle), numbers)
    peak: int = json.loads(first_line(process))
    process.communicate()
    return peak


def _worker(bundle: str, numbers: str) -> None:
    segment_count, *of_side = json.loads(numbers)
    side = Side(Path(bundle), *of_side)
    _time([side.chain(segment_count)], side)
    print(peak_resident_bytes(), flush=True)


def _targets_of(figures: Mapping[str, float]) -> dict[str, float]:
    return {name: limit for name in figures for what, limit in _TARGETS.items() if name.endswith(f"_{what}")}


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chains.cost")
    parser.add_argument("--json", type=Path, required=True, help="file for the figures")
    parser.add_argument("--bundle", type=Path, action="append", help="default: pocket's")
    parser.add_argument("--segments", nargs="+", type=int, default=[1, 2, 3, 4], help="numbers of segments")
    parser.add_argument("--repeats", type=int, default=5, help="counted repeats of each number of segments")
    parser.add_argument("--steps", type=int, help="denoising steps; default: each bundle's")
    parser.add_argument("--threads", type=int, default=1, help="of one graph call; 0: one for each core")
    given = EngineSettings().given_frame_count
    parser.add_argument("--given-frame-count", type=int, default=given, help="frames that a segment repeats, 4n + 1")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    if sys.argv[1:2] == [_WORKER]:
        _worker(*sys.argv[2:])
    else:
        main()
