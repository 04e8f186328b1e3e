"""The JSON of a run: figures, errors and what was left out, by step. Knows nothing of what is measured."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from benchmarks.report import machine

_CAVEATS = (
    "Says nothing about TensorRT on a 3090 or 4090; weights are random: times and memory are true, pictures mean "
    "nothing."
)
_TINY_CAVEATS = "Small models: shows that every step runs. Its times and bytes measure nothing."


class Record:
    """Written whole after every entry, so that a crash costs only what follows.

    ``{"name", "machine", "caveats", "steps": {number: {"title", "figures", "skipped", "errors", "seconds"}}}``
    """

    def __init__(self, file: Path, *, is_continued: bool = False, is_tiny: bool = False) -> None:
        self._file = file
        self._started: dict[str, float] = {}
        self._content: dict[str, Any] = {"name": "device", "machine": machine(), "caveats": "", "steps": {}}
        if is_continued and file.is_file():
            self._content = json.loads(file.read_text(encoding="utf-8"))
        self._content["caveats"] = _TINY_CAVEATS if is_tiny else _CAVEATS

    def begin(self, number: str, title: str) -> None:
        """Opens a step."""
        self._started[number] = time.monotonic()
        self._content["steps"][number] = {"title": title, "figures": {}, "skipped": {}, "errors": {}}
        print(f"step {number}: {title}", flush=True)

    def add(self, number: str, kind: str, name: str, value: float | str) -> None:
        """One of ``figures``, ``skipped`` and ``errors``; what the card is goes to ``machine``."""
        if kind == "machine":
            self._content["machine"][name] = value
        else:
            self._content["steps"][number][kind][name] = value
        shown = f"{value:.6g}" if isinstance(value, float) else value
        print(f"  {'' if kind == 'figures' else f'{kind}: '}{name:44} {shown}", flush=True)
        self._write()

    def end(self, number: str) -> None:
        """Closes a step; ``seconds`` is all of it, imports and drawing of weights included."""
        self._content["steps"][number]["seconds"] = round(time.monotonic() - self._started[number], 1)
        self._write()

    def _write(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        partial = self._file.with_name(f"{self._file.name}.partial")
        partial.write_text(json.dumps(self._content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        partial.replace(self._file)
