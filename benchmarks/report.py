"""The report of every benchmark: figures by name, written as JSON and printed with their targets."""

from __future__ import annotations

import datetime
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_LIBRARIES = ("numpy", "onnxruntime", "torch", "diffusers", "transformers")


@dataclass(frozen=True)
class Report:
    """Figures of one run by name; some have a target that they should not exceed, or should reach."""

    name: str
    figures: Mapping[str, float]
    targets: Mapping[str, float] = field(default_factory=dict)
    floors: Mapping[str, float] = field(default_factory=dict)

    def write(self, file: Path) -> None:
        """Writes ``{"name", "machine", "figures"}``."""
        content = {"name": self.name, "machine": machine(), "figures": dict(self.figures)}
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    def show(self) -> None:
        """Prints a line for each figure, with its target and whether it is met."""
        for name, value in self.figures.items():
            print(f"{name:38} {_readable(name, value):>14}  {self._verdict(name, value)}".rstrip())

    def _verdict(self, name: str, value: float) -> str:
        if name in self.targets:
            return f"target {self.targets[name]:.3g}: {'met' if value <= self.targets[name] else 'MISSED'}"
        if name in self.floors:
            return f"target at least {self.floors[name]:.3g}: {'met' if value >= self.floors[name] else 'MISSED'}"
        return ""


def machine() -> dict[str, str | int]:
    """Returns a description of the machine for the report, without host names, user names and paths."""
    return {
        "cpu": _cpu_model(),
        "core_count": os.cpu_count() or 1,
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: _version(name) for name in _LIBRARIES},
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def _cpu_model() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "none"


def _readable(name: str, value: float) -> str:
    if name.endswith("_bytes"):
        return f"{value / 2**20:,.1f} MiB"
    if name.endswith("_seconds"):
        return f"{value * 1000:,.1f} ms"
    return f"{value:.4g}"
