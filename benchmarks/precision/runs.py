"""Runs bundles with the engine, records the inputs of their transformers, and compares results."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image as Pillow

from engine.api.cancellation import CancelFlag
from engine.api.events import FrameReady
from engine.api.job import Job, SamplingSpec
from engine.api.media import Image
from engine.bundle.graph_spec import GraphSpec
from engine.generate.bundle_engine import BundleEngine
from engine.generate.loading import load_bundle
from engine.runtime.base import Tensor
from engine.runtime.ort import OrtRuntime
from engine.runtime.ort_session import OrtGraph

Array = NDArray[Any]


@dataclass(frozen=True)
class Asked:
    """A clip to generate: ``picture`` [height, width, 3] uint8."""

    picture: NDArray[np.uint8]
    sentence: str
    seed: int


@dataclass
class Record:
    """Recorded inputs of the transformers' graphs by stage, of every ``stride``-th call."""

    stride: int
    inputs: dict[str, list[dict[str, Array]]] = field(default_factory=dict)
    _call_counts: dict[str, int] = field(default_factory=dict)

    def see(self, stage: str, inputs: Mapping[str, Tensor]) -> None:
        """Counts one call of a stage and records its inputs if its turn has come."""
        count = self._call_counts.get(stage, 0)
        self._call_counts[stage] = count + 1
        if count % self.stride == 0:
            self.inputs.setdefault(stage, []).append({name: item.to_host() for name, item in inputs.items()})


class ExactRuntime(OrtRuntime):
    """ONNX Runtime without graph optimisations for transformers: fusions would change the measured rounding."""

    def __init__(self, thread_count: int, record: Record | None = None) -> None:
        super().__init__(thread_count)
        self._record = record

    def load(self, folder: Path, spec: GraphSpec) -> OrtGraph:
        """See ``Runtime.load``."""
        level = onnxruntime.GraphOptimizationLevel
        is_transformer = spec.stage.startswith("transformer")
        self._options.graph_optimization_level = level.ORT_DISABLE_ALL if is_transformer else level.ORT_ENABLE_ALL
        graph = super().load(folder, spec)
        if self._record is not None and is_transformer:
            _watch(graph, self._record)
        return graph


def _watch(graph: OrtGraph, record: Record) -> None:
    run = graph.run

    def watched(inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
        record.see(graph.spec.stage, inputs)
        run(inputs, outputs)

    graph.run = watched  # type: ignore[method-assign]


def make_clips(
    bundle: Path, asked: Sequence[Asked], step_count: int, record: Record | None = None
) -> list[NDArray[np.uint8]]:
    """Generates clips [frames, height, width, 3] uint8 with the bundle's default guidance and shift."""
    engine = BundleEngine(load_bundle(bundle, ExactRuntime(0, record)), text_cache_entry_count=len(asked) + 1)
    clips = []
    for item in asked:
        stream = io.BytesIO()
        Pillow.fromarray(item.picture).save(stream, "PNG")
        job = Job(Image(stream.getvalue()), item.sentence, sampling=SamplingSpec(step_count=step_count, seed=item.seed))
        events = engine.generate(engine.prepare(job), CancelFlag())
        clips.append(np.stack([event.pixels for event in events if isinstance(event, FrameReady)]))
    return clips


def run_transformer(file: Path, inputs: Sequence[Mapping[str, Array]]) -> list[NDArray[np.float32]]:
    """Returns a transformer's predictions for recorded inputs, computed without graph optimisations."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return [session.run(["prediction"], dict(item))[0] for item in inputs]


def relative_error(actual: Sequence[NDArray[np.float32]], expected: Sequence[NDArray[np.float32]]) -> float:
    """Returns the norm of the difference divided by the norm of the expected values, over all arrays."""
    difference = sum(
        float(np.square(ours - theirs, dtype=np.float64).sum()) for ours, theirs in zip(actual, expected, strict=True)
    )
    return float((difference / sum(float(np.square(item, dtype=np.float64).sum()) for item in expected)) ** 0.5)


def psnr_db(actual: NDArray[np.uint8], expected: NDArray[np.uint8]) -> float:
    """Returns the PSNR in dB over a whole clip with peak 255; 99 for equal clips."""
    error = float(np.mean(np.square(actual.astype(np.float64) - expected)))
    return 99.0 if error == 0 else float(10 * np.log10(255.0**2 / error))
