"""The time until denoising when a picture comes with another sentence, against the time with its first sentence.

    python -m benchmarks.second_sentence --json FILE [--bundle B ...] [--repeats 5] [--threads 0]

Each repeat draws a picture that the engine has not seen and asks for two clips of it with different new sentences; each
job is left after its first denoising step. Both sentences are encoded; the second finds the picture's conditioning
in the cache. Ratios are medians over repeats, second / first: ``begin_ratio`` until the first step begins,
``first_step_ratio`` until it is done. No match is scored. The first picture is a warm-up and is not counted.

``--bundle`` may be repeated, and each compiled size of a bundle is measured; names of figures begin with the size.
Bundles of pocket at other sizes: ``python -m export pocket/model/checkpoint --out FOLDER --size 256x256 --frames 33``.
"""

from __future__ import annotations

import argparse
import io
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image as PilImage

from benchmarks.report import Report
from engine.api.cancellation import CancelFlag
from engine.api.capabilities import Geometry
from engine.api.events import Stage, StageStarted, StepDone
from engine.api.job import Job, MatchMode, MatchPolicy, SamplingSpec, VideoSpec
from engine.api.media import Image
from engine.api.settings import EngineSettings
from engine.generate.bundle_engine import BundleEngine
from engine.generate.opening import open_bundle
from pocket.settings import BUNDLE_FOLDER

_TARGET = 0.25
_SENTENCES = ("a white cat jumps to the left, take {}", "the light fades while a white cat sleeps, take {}")
_Waits = tuple[float, float]  # seconds until the first step begins, and until it is done


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures every size of every bundle, prints the figures and writes them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.second_sentence")
    parser.add_argument("--json", type=Path, required=True, help="file for the figures")
    parser.add_argument("--bundle", type=Path, action="append", help="default: pocket's")
    parser.add_argument("--repeats", type=int, default=5, help="counted pictures of each size")
    parser.add_argument("--threads", type=int, default=0, help="of one graph call; 0: one for each core")
    options = parser.parse_args(arguments)
    figures: dict[str, float] = {}
    for bundle in options.bundle or [BUNDLE_FOLDER]:
        engine = open_bundle(bundle, EngineSettings(thread_count=options.threads))
        for geometry in engine.capabilities().geometries:
            figures |= _figures_of(geometry, _measure(engine, geometry, options.repeats))
        engine.close()
    targets = {name: _TARGET for name in figures if name.endswith("_ratio")}
    report = Report("second_sentence", {**figures, "repeat_count": options.repeats}, targets)
    report.show()
    report.write(options.json)


def _measure(engine: BundleEngine, geometry: Geometry, repeat_count: int) -> list[tuple[_Waits, _Waits]]:
    """Waits with the first and with the second sentence about a picture, for each counted picture."""
    draw = np.random.default_rng(0)
    waits = []
    for repeat in range(repeat_count + 1):
        picture = _picture(draw, geometry)
        first, second = (_waits(engine, geometry, picture, text.format(repeat)) for text in _SENTENCES)
        waits.append((first, second))
    return waits[1:]


def _picture(draw: np.random.Generator, geometry: Geometry) -> bytes:
    coarse = draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    size = geometry.width_px, geometry.height_px
    stream = io.BytesIO()
    PilImage.fromarray(coarse).resize(size, PilImage.Resampling.BICUBIC).save(stream, "PNG")
    return stream.getvalue()


def _waits(engine: BundleEngine, geometry: Geometry, picture: bytes, sentence: str) -> _Waits:
    video = VideoSpec(geometry.width_px, geometry.height_px, geometry.frame_count)
    job = Job(Image(picture), sentence, video=video, sampling=SamplingSpec(seed=0), match=MatchPolicy(MatchMode.OFF))
    prepared = engine.prepare(job)
    started = time.perf_counter()
    events = engine.generate(prepared, CancelFlag())
    begun = 0.0
    for event in events:
        if event == StageStarted(Stage.DENOISE):
            begun = time.perf_counter() - started
        elif isinstance(event, StepDone):
            break
    return begun, time.perf_counter() - started


def _figures_of(geometry: Geometry, waits: list[tuple[_Waits, _Waits]]) -> dict[str, float]:
    size = f"{geometry.width_px}x{geometry.height_px}x{geometry.frame_count}"
    figures = {}
    for place, what in enumerate(("begin", "first_step")):
        pairs = [(first[place], second[place]) for first, second in waits]
        figures[f"{size}_{what}_ratio"] = statistics.median(second / first for first, second in pairs)
        figures[f"{size}_{what}_first_seconds"] = statistics.median(first for first, _ in pairs)
        figures[f"{size}_{what}_second_seconds"] = statistics.median(second for _, second in pairs)
    return figures


if __name__ == "__main__":
    main()
