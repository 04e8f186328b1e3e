"""Bundles with TensorRT plans for tests without a GPU: ``fake_tensorrt`` computes, ``fake_cuda`` has the memory."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.bundle.folder import MANIFEST_NAME, file_sha256, parse_manifest
from engine.bundle.graph_spec import EngineSpec, GraphSpec
from engine.bundle.manifest import FileSpec
from engine.runtime.ort import OrtRuntime
from engine.runtime.trt import TrtRuntime
from export.tensorrt.axes import graph_axes
from tests import fake_tensorrt

COMPILER = "tests.fake_tensorrt"
WEIGHT_BYTES = 100_000


def install_fake_gpu(fake: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts ``fake`` in the place of ``cuda.bindings.runtime``."""
    import cuda.bindings

    monkeypatch.setattr(cuda.bindings, "runtime", fake, raising=False)
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", fake)
    from engine.runtime.cuda import cudart

    cudart.cache_clear()


def add_plans(folder: Path) -> None:
    """Writes a plan for each graph of the bundle in ``folder``."""
    manifest = parse_manifest(folder)
    graphs, files = [], dict(manifest.files)
    for graph in manifest.graphs:
        plan = folder / f"{graph.file}.sm_86.plan"
        axes = graph_axes([item.name for item in graph.inputs])
        profile = {name: (axis.lowest, axis.highest) for name, axis in axes.items()}
        fake_tensorrt.write_plan(plan, folder / graph.file, WEIGHT_BYTES, profile=profile)
        graphs.append(graph.with_changes(engines=(engine_spec(plan.name),)))
        files[plan.name] = FileSpec(sha256=file_sha256(plan), byte_count=plan.stat().st_size)
    manifest = manifest.with_changes(graphs=tuple(graphs), files=files)
    (folder / MANIFEST_NAME).write_text(manifest.to_json())


def engine_spec(file: str, **changes: Any) -> EngineSpec:
    """Returns a manifest's entry for the plan in ``file``."""
    fields: dict[str, Any] = {
        "file": file,
        "compute_capability": "sm_86",
        "compiler": COMPILER,
        "compiler_version": fake_tensorrt.__version__,
        "activation_bytes": fake_tensorrt.SCRATCH_BYTES,
        "weight_bytes": WEIGHT_BYTES,
        "plan_bytes": 1,
        "build_seconds": 0.0,
        "host_peak_bytes": 0,
    }
    return EngineSpec(**{**fields, **changes})


def graph_of(bundle: Path, stage: str) -> GraphSpec:
    return next(graph for graph in parse_manifest(bundle).graphs if graph.stage == stage)


def changed_graph(bundle: Path, stage: str, **changes: Any) -> GraphSpec:
    graph = graph_of(bundle, stage)
    return graph.with_changes(engines=tuple(item.with_changes(**changes) for item in graph.engines))


def runtime_in(tmp_path: Path) -> TrtRuntime:
    return TrtRuntime(COMPILER, tmp_path / "kernels")


def latent_of(spec: GraphSpec) -> np.ndarray[Any, np.dtype[np.float32]]:
    shape = tuple(int(axis) for axis in spec.inputs[0].shape)
    return np.random.default_rng(1).standard_normal(shape, dtype=np.float32)


def decode(runtime: TrtRuntime | OrtRuntime, graph: Any, latent: np.ndarray[Any, Any]) -> dict[str, Any]:
    outputs = {item.name: runtime.zeros(item.shape, item.dtype) for item in graph.spec.outputs}
    graph.run({graph.spec.inputs[0].name: runtime.upload(latent)}, outputs)
    return {name: tensor.to_host() for name, tensor in outputs.items()}
