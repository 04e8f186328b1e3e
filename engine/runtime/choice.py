"""Chooses the runtime that serves a bundle on this machine."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from engine.api.errors import BundleInvalid, DeviceUnavailable
from engine.api.settings import RuntimeName
from engine.bundle.graph_spec import EngineSpec, GraphSpec
from engine.bundle.manifest import Manifest
from engine.host.processors import Processors
from engine.runtime.base import Runtime
from engine.runtime.gpu import Gpu, engine_for_gpu, present_gpu

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Choice:
    """A runtime with the compute capability whose plans it runs and the memory of the GPU; both are None on the CPU.

    ``threads`` tells how many threads a graph call takes, and why; empty on a GPU. ``gpu_fault`` says why plans of the
    bundle are left unused; None if they are used or if there are none.
    """

    runtime: Runtime
    compute_capability: str | None = None
    gpu_bytes: int | None = None
    threads: str = ""
    gpu_fault: str | None = None


def choose_runtime(
    manifest: Manifest, name: RuntimeName, thread_count: int, kernel_cache_folder: Path | None
) -> Choice:
    """The runtime of that name. ``auto`` is TensorRT if every graph has a plan for the GPU of this machine.

    ``thread_count`` 0 is one thread for each core, or for each processor where affinity or a quota allow fewer.

    Raises ``BundleInvalid``, including ``DeviceUnavailable``, if TensorRT is asked for and cannot be used. ``auto``
    logs why it leaves plans unused.
    """
    if name == "tensorrt":
        return _tensorrt(manifest, kernel_cache_folder)
    gpu_fault = None
    if name == "auto" and any(graph.engines for graph in manifest.graphs):
        try:
            return _tensorrt(manifest, kernel_cache_folder)
        except DeviceUnavailable as error:
            gpu_fault = str(error)
            _log.warning("the bundle's TensorRT engines are not used, its graphs run on the CPU: %s", error)
    from engine.runtime.ort import OrtRuntime

    processors = Processors.of_this_process()
    if thread_count == 0 and processors.is_limited:
        thread_count = processors.count
    threads = f"threads of a graph call: {thread_count or 'one for each core'}; processors: {processors}"
    return Choice(OrtRuntime(thread_count), threads=threads, gpu_fault=gpu_fault)


def _tensorrt(manifest: Manifest, kernel_cache_folder: Path | None) -> Choice:
    if not any(graph.engines for graph in manifest.graphs):
        raise BundleInvalid(
            "the bundle holds no TensorRT engines; export the checkpoint with --gpu, or set the runtime to onnxruntime"
        )
    gpu = present_gpu()
    engines = [_engine(graphs, gpu) for graphs in _by_place(manifest)]
    from engine.runtime.trt import TrtRuntime

    return Choice(TrtRuntime(engines[0].compiler, kernel_cache_folder), gpu.compute_capability, gpu.memory_bytes)


def _by_place(manifest: Manifest) -> Iterable[list[GraphSpec]]:
    """Groups graphs that replace each other: one name at one size, in different precisions for different GPUs."""
    places: dict[object, list[GraphSpec]] = {}
    for graph in manifest.graphs:
        place = (graph.stage, graph.width_px, graph.height_px, graph.frame_count)
        places.setdefault(place, []).append(graph)
    return places.values()


def _engine(graphs: list[GraphSpec], gpu: Gpu) -> EngineSpec:
    found = [graph for graph in graphs if graph.engine(gpu.compute_capability)]
    return engine_for_gpu((found or graphs)[0], gpu)
