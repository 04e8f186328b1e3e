"""Opens a bundle as an engine: chooses the runtime and the memory budget of this machine."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import TYPE_CHECKING

from engine.api.errors import BundleInvalid
from engine.bundle.folder import parse_manifest
from engine.generate.loading import load_bundle
from engine.generate.onnx_graphs import check_onnx_graphs
from engine.memory.plan import default_budget_bytes
from engine.runtime.base import GraphNotLoaded
from engine.runtime.choice import choose_runtime
from engine.runtime.kernel_cache import default_cache_folder

if TYPE_CHECKING:
    from pathlib import Path

    from engine.api.settings import EngineSettings
    from engine.bundle.manifest import Manifest
    from engine.generate.bundle_engine import BundleEngine

_log = logging.getLogger(__name__)
_ENGINE_MODULE = "engine.generate.bundle_engine"


def open_bundle(bundle: Path, settings: EngineSettings) -> BundleEngine:
    """Opens a bundle folder. Raises ``BundleInvalid``; see ``engine.open_engine``."""
    manifest = parse_manifest(bundle)
    if settings.given_frame_count != 1:
        _check_given_frames(settings.given_frame_count, manifest)
    cache_folder = settings.kernel_cache_folder or default_cache_folder()
    choice = choose_runtime(manifest, settings.runtime, settings.thread_count, cache_folder, settings.device)
    budget_bytes = settings.memory_budget_bytes
    if budget_bytes is None:
        budget_bytes = default_budget_bytes(choice.compute_capability, choice.gpu_bytes)
    try:
        if choice.compute_capability is None:
            check_onnx_graphs(manifest, is_on_cpu=choice.device == "cpu")
        with ThreadPoolExecutor(1) as importer:  # the modules of the engine are imported while its graphs load
            importer.submit(import_module, _ENGINE_MODULE)
            loaded = load_bundle(
                bundle,
                choice.runtime,
                budget_bytes,
                choice.compute_capability,
                shares_weights=choice.gpu is None,
                cache_folder=cache_folder,
                verify_digests=settings.verify_digests,
            )
    except GraphNotLoaded as error:
        if choice.gpu_fault is None:
            raise
        where = "on the CPU" if choice.gpu is None else "with ONNX Runtime"
        raise BundleInvalid(f"{choice.gpu_fault}; {where}: {error}") from error
    from engine.generate.bundle_engine import BundleEngine
    from engine.generate.segment_join import PutBack

    _log.info("the engine computes on %s with %s", choice.gpu or choice.device, choice.runtime.name)
    if choice.threads:
        _log.info("%s", choice.threads)
    return BundleEngine(
        loaded,
        settings.text_cache_entry_count,
        picture_cache_bytes=settings.picture_cache_bytes,
        join=PutBack(settings.given_frame_count),
        reuse=settings.reuse,
        gpu=choice.gpu,
    )


def _check_given_frames(given_frame_count: int, manifest: Manifest) -> None:
    """Raises ``BundleInvalid`` where no segment can begin with so many frames, ``ValueError`` where none ever can."""
    if given_frame_count < 1 or given_frame_count % 4 != 1:
        raise ValueError(f"given_frame_count is {given_frame_count}, not 4n + 1")
    longest = max(geometry.frame_count for geometry in manifest.geometries)
    fault = ""
    if manifest.expand_timesteps:
        fault = "of the frames that a segment begins with, this bundle can encode only one; set it to 1"
    elif given_frame_count >= longest:
        fault = f"this bundle makes segments of at most {longest} frames, which must be more; set fewer"
    if fault:
        raise BundleInvalid(f"given_frame_count is {given_frame_count}, but {fault}")
