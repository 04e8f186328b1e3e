"""Collects the figures of a run on a GPU in one JSON file."""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from engine.runtime.gpu import Gpu

REPORT_VARIABLE = "STILLCUE_GPU_REPORT"
_PACKAGES = ("tensorrt-rtx", "tensorrt", "cuda-bindings", "onnxruntime", "onnxruntime-gpu", "torch", "numpy")


class Report:
    """Figures by test and subject; the file is rewritten after every figure, so that a crash loses none before it."""

    def __init__(self, card: Gpu) -> None:
        path = os.environ.get(REPORT_VARIABLE)
        self._path = Path(path) if path else None
        self._content: dict[str, Any] = {
            "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "card": asdict(card),
            "machine": {"system": platform.platform(), "processor": platform.machine(), "cores": os.cpu_count()},
            "packages": {name: found for name in _PACKAGES if (found := _version(name))},
            "commit": _commit(),
        }

    def add(self, topic: str, subject: str, **figures: Any) -> None:
        """Adds figures; their names include the unit."""
        self._content.setdefault(topic, {}).setdefault(subject, {}).update(figures)
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            partial = self._path.with_name(f"{self._path.name}.partial")
            partial.write_text(json.dumps(self._content, indent=1) + "\n", encoding="utf-8")
            partial.replace(self._path)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    root = Path(__file__).resolve().parent
    result = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=False)
    return result.stdout.strip() or None
