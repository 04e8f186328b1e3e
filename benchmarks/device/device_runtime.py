"""The engine's runtime of the device that is measured, and pocket's bundle, which every machine has."""

from __future__ import annotations

from pathlib import Path

from benchmarks.device.steps import Setting
from engine.api.settings import EngineSettings, RuntimeName
from engine.bundle.folder import parse_manifest
from engine.runtime.base import Runtime
from engine.runtime.choice import choose_runtime

POCKET = Path(__file__).resolve().parents[2] / "pocket" / "model"


def engine_settings(setting: Setting, device: str, cache_folder: Path) -> EngineSettings:
    """Settings of an engine on ``cuda`` or ``cpu``, with kernels cached in the folder."""
    return EngineSettings(thread_count=_thread_count(setting), device=device, kernel_cache_folder=cache_folder)


def device_runtime(setting: Setting, cache_folder: Path, name: RuntimeName = "auto") -> Runtime:
    """The runtime that serves pocket on the device. Raises ``DeviceUnavailable`` where there is none."""
    manifest = parse_manifest(POCKET)
    return choose_runtime(manifest, name, _thread_count(setting), cache_folder, setting.device).runtime


def _thread_count(setting: Setting) -> int:
    return 1 if setting.is_tiny else 0
