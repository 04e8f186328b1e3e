"""The cost of the check for NaN and infinity: a clip with it and without, in turns, and its parts at an official size.

    python -m benchmarks.finite_check --json FILE [--pairs 15] [--steps 20]

``clip_ratio`` is the median over pairs of clips of the pocket model, with / without. The parts are medians at the
latents of A14B, 832x480 and 81 frames, on this machine's CPU: the solver's graph with its magnitude over the graph
without; the copy and check of the latents that bundles of earlier exports need; the check of four decoded frames.
"""

from __future__ import annotations

import argparse
import io
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import onnx
import onnxruntime
from PIL import Image as Pillow

from benchmarks.report import Report
from engine import open_engine
from engine.api.cancellation import CancelFlag
from engine.api.job import Job, MatchMode, MatchPolicy, SamplingSpec
from engine.api.media import Image
from engine.generate.schedule import flow_schedule
from engine.runtime.finite import is_finite
from export.tracing.guidance import write_guide_and_step

_BUNDLE = Path(__file__).parent.parent / "pocket" / "model"
_LATENTS = (1, 16, 21, 60, 104)
_FRAMES = (1, 3, 4, 480, 832)
_ORDER = 2
_MATCH_OFF = MatchPolicy(MatchMode.OFF)
_CHECKS = ("engine.generate.denoising.is_finite", "engine.runtime.finite.is_finite")


def main() -> None:
    """Measures, prints the figures and writes them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.finite_check")
    parser.add_argument("--json", type=Path, required=True, help="file for the figures")
    parser.add_argument("--pairs", type=int, default=15, help="clips with the check, and as many without")
    parser.add_argument("--steps", type=int, default=20, help="denoising steps of a clip")
    options = parser.parse_args()
    solver_ratio, solver_seconds = _solver()
    latents, frames = (np.random.default_rng(0).standard_normal(shape, np.float32) for shape in (_LATENTS, _FRAMES))
    figures = {
        "clip_ratio": _clip_ratio(options.pairs, options.steps),
        "solver_ratio": solver_ratio,
        "solver_seconds": solver_seconds,
        "latents_copy_seconds": _median_seconds(lambda: is_finite(latents.copy())),
        "frames_check_seconds": _median_seconds(lambda: is_finite(frames)),
        "pair_count": options.pairs,
        "step_count": options.steps,
    }
    report = Report("finite_check", figures, {"clip_ratio": 1.01})
    report.show()
    report.write(options.json)


def _clip_ratio(pair_count: int, step_count: int) -> float:
    engine = open_engine(_BUNDLE)
    picture = io.BytesIO()
    Pillow.new("RGB", (64, 64), (90, 140, 200)).save(picture, "PNG")
    sampling = SamplingSpec(step_count=step_count, seed=1)
    job = Job(Image(picture.getvalue()), "a red car rolls to the right", sampling=sampling, match=_MATCH_OFF)
    prepared = engine.prepare(job)

    def clip() -> float:
        started = time.perf_counter()
        list(engine.generate(prepared, CancelFlag()))
        return time.perf_counter() - started

    def clip_without() -> float:
        with mock.patch(_CHECKS[0], return_value=True), mock.patch(_CHECKS[1], return_value=True):
            return clip()

    clip()
    pairs = []
    for number in range(pair_count):
        sides = (clip, clip_without) if number % 2 else (clip_without, clip)
        seconds = {side: side() for side in sides}
        pairs.append(seconds[clip] / seconds[clip_without])
    engine.close()
    return statistics.median(pairs)


def _solver() -> tuple[float, float]:
    """(Seconds of the graph with its magnitude over those without, median of pairs; seconds with it)."""
    matrix = flow_schedule(8, 5.0, _ORDER).step_matrix(4, guidance_scale=3.5)
    names = ("latents", "last_sample", *(f"x0_{back}" for back in range(1, _ORDER + 1)))
    generator = np.random.default_rng(0)
    inputs = {name: generator.standard_normal(_LATENTS, np.float32) for name in names}
    inputs |= {"prediction": generator.standard_normal((2, *_LATENTS[1:]), np.float32), "matrix": matrix}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "solver.onnx"
        write_guide_and_step(_LATENTS, _ORDER, file)
        model = onnx.load(file)
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        del model.graph.output[3]  # the runtime drops the nodes that only it needs
        without = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    pairs = [
        (_seconds(lambda: session.run(None, inputs)), _seconds(lambda: without.run(None, inputs))) for _ in range(20)
    ][1:]
    return statistics.median(ours / plain for ours, plain in pairs), statistics.median(ours for ours, _ in pairs)


def _median_seconds(call: Callable[[], object]) -> float:
    return statistics.median([_seconds(call) for _ in range(21)][1:])


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
