"""Opens a bundle as an engine. The one place that imports a runtime, and only when it is called."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.types import Engine


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How an engine runs on this machine. ``thread_count`` 0 means one thread a core."""

    thread_count: int = 0
    text_cache_entry_count: int = 64


def open_engine(bundle: Path, settings: EngineSettings = EngineSettings()) -> Engine:
    """Opens a bundle folder.

    Raises ``BundleInvalid`` when the folder, its manifest or one of its files is missing, damaged or of another
    version.
    """
    from engine.bundle_engine import BundleEngine
    from engine.runtime.ort import OrtRuntime

    return BundleEngine(bundle, OrtRuntime(settings.thread_count), settings.text_cache_entry_count)
