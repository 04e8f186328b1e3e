"""Chooses the runtime that serves a bundle on this machine."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from engine.api.errors import BundleInvalid, DeviceUnavailable
from engine.api.settings import RuntimeName
from engine.bundle.graph_spec import EngineSpec, GraphSpec
from engine.bundle.manifest import Manifest
from engine.host.processors import Processors
from engine.runtime.base import Runtime
from engine.runtime.gpu import Gpu, engine_for_gpu, find_gpu

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Choice:
    """A runtime with the compute capability whose plans it runs and the memory of the GPU; both are None on the CPU.

    ``threads`` tells how many threads a graph call takes, and why; empty on a GPU. ``gpu_fault`` says why plans of the
    bundle are left unused; None if they are used or if there are none. ``gpu`` is the card, None on the CPU.
    """

    runtime: Runtime
    compute_capability: str | None = None
    gpu_bytes: int | None = None
    threads: str = ""
    gpu_fault: str | None = None
    gpu: Gpu | None = None

    @property
    def device(self) -> str:
        """``cpu``, or the card as ``cuda:0``."""
        return "cpu" if self.gpu is None else f"cuda:{self.gpu.index}"


def choose_runtime(
    manifest: Manifest, name: RuntimeName, thread_count: int, kernel_cache_folder: Path | None, device: str = "auto"
) -> Choice:
    """The runtime of that name on that device; see ``EngineSettings``.

    On the device ``auto``: TensorRT if every graph has a plan for the first GPU, else ONNX Runtime, on that GPU if the
    installed package can use it, else on the CPU; logs why plans or GPU stay unused. On a GPU that is named: TensorRT
    if every graph has a plan for it, else ONNX Runtime on it, never the CPU. ``thread_count`` 0 is one thread for each
    core, or for each processor where affinity or a quota allow fewer.

    Raises ``BundleInvalid``, including ``DeviceUnavailable``, if what is asked for cannot be used.
    """
    if name == "tensorrt" and device == "cpu":
        raise BundleInvalid("TensorRT does not run on the device cpu; name a GPU as cuda, or the runtime onnxruntime")
    if device == "cpu":
        return _onnxruntime(thread_count)
    if name == "tensorrt":
        return _tensorrt(manifest, kernel_cache_folder, device)
    if device != "auto":
        return _on_card(manifest, name, kernel_cache_folder, device)
    gpu_fault = None
    if name == "auto" and any(graph.engines for graph in manifest.graphs):
        try:
            return _tensorrt(manifest, kernel_cache_folder, device)
        except DeviceUnavailable as error:
            gpu_fault = str(error)
    choice = _onnxruntime_on_any_card() or _onnxruntime(thread_count)
    if gpu_fault is not None:
        where = "CPU" if choice.gpu is None else "GPU with ONNX Runtime"
        _log.warning("the bundle's TensorRT engines are not used, its graphs run on the %s: %s", where, gpu_fault)
    return replace(choice, gpu_fault=gpu_fault)


def _onnxruntime(thread_count: int) -> Choice:
    from engine.runtime.ort import OrtRuntime

    processors = Processors.of_this_process()
    if thread_count == 0 and processors.is_limited:
        thread_count = processors.count
    threads = f"threads of a graph call: {thread_count or 'one for each core'}; processors: {processors}"
    return Choice(OrtRuntime(thread_count), threads=threads)


def _on_card(manifest: Manifest, name: RuntimeName, kernel_cache_folder: Path | None, device: str) -> Choice:
    """TensorRT if it can serve the bundle on the card, else ONNX Runtime.

    Raises ``DeviceUnavailable`` with both reasons.
    """
    gpu = find_gpu(device)
    plan_fault = ""
    if name == "auto":
        try:
            return _tensorrt(manifest, kernel_cache_folder, device)
        except BundleInvalid as error:
            plan_fault = f"{error}; "
    try:
        return _onnxruntime_on_card(gpu)
    except DeviceUnavailable as error:
        raise DeviceUnavailable(f"{plan_fault}{error}; or set the device to cpu") from error


def _onnxruntime_on_card(gpu: Gpu) -> Choice:
    """ONNX Runtime on a GPU. Raises ``DeviceUnavailable``."""
    from engine.runtime.ort_cuda import OrtCudaRuntime

    return Choice(OrtCudaRuntime(gpu), gpu_bytes=gpu.memory_bytes, gpu=gpu)


def _onnxruntime_on_any_card() -> Choice | None:
    """ONNX Runtime on the first GPU; None if its package computes on the CPU only, or if the GPU cannot be used."""
    from engine.runtime.ort_package import has_cuda

    if not has_cuda():
        return None
    try:
        return _onnxruntime_on_card(find_gpu("cuda"))
    except DeviceUnavailable as error:
        _log.warning("the bundle's graphs run on the CPU: %s", error)
        return None


def _tensorrt(manifest: Manifest, kernel_cache_folder: Path | None, device: str) -> Choice:
    if not any(graph.engines for graph in manifest.graphs):
        raise BundleInvalid(
            "the bundle holds no TensorRT engines; export the checkpoint with --gpu, or set the runtime to onnxruntime"
        )
    gpu = find_gpu("cuda" if device == "auto" else device)
    engines = [_engine(graphs, gpu) for graphs in _by_place(manifest)]
    from engine.runtime.trt import TrtRuntime

    runtime = TrtRuntime(engines[0].compiler, kernel_cache_folder, gpu)
    return Choice(runtime, gpu.compute_capability, gpu.memory_bytes, gpu=gpu)


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
