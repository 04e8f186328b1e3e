"""Opens a bundle as an engine. The one place that imports a runtime, and only when it is called."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from engine.api.types import Engine


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How an engine runs on this machine.

    ``thread_count`` 0 means one thread a core. ``runtime`` ``auto`` takes TensorRT where the bundle holds plans for the
    card of this machine, else ONNX Runtime. ``kernel_cache_folder`` None takes the user's cache folder, and
    ``memory_budget_bytes`` None the default of ``engine.memory``.
    """

    thread_count: int = 0
    text_cache_entry_count: int = 64
    memory_budget_bytes: int | None = None
    runtime: Literal["auto", "onnxruntime", "tensorrt"] = "auto"
    kernel_cache_folder: Path | None = None


def open_engine(bundle: Path, settings: EngineSettings = EngineSettings()) -> Engine:
    """Opens a bundle folder.

    Raises ``BundleInvalid`` when the folder, its manifest or one of its files is missing, damaged or of another
    version, when it does not fit the memory budget, and when this machine lacks what it needs to run.
    """
    from engine.bundle import parse_manifest
    from engine.generate.bundle_engine import BundleEngine
    from engine.memory import default_budget_bytes
    from engine.runtime.choice import choose_runtime
    from engine.runtime.kernel_cache import default_cache_folder

    manifest = parse_manifest(bundle)
    cache_folder = settings.kernel_cache_folder or default_cache_folder()
    choice = choose_runtime(manifest, settings.runtime, settings.thread_count, cache_folder)
    budget_bytes = settings.memory_budget_bytes
    if budget_bytes is None:
        budget_bytes = default_budget_bytes(choice.compute_capability, choice.card_bytes)
    return BundleEngine(
        bundle, choice.runtime, settings.text_cache_entry_count, budget_bytes, choice.compute_capability
    )
