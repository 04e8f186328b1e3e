"""Starts the stub of ComfyUI as a process."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.comfyui.comfy import Comfy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_PROGRAM = Path(__file__).with_name("stub") / "__main__.py"
_CLIENT = Path(__file__).parents[2] / "clients" / "python"
_START_SECONDS = 120


@contextmanager
def stub_comfy(base: Path, packs: Mapping[str, Path], variables: Mapping[str, str] | None = None) -> Iterator[Comfy]:
    """Starts the stub with ``packs``, folders by their names in ``custom_nodes``, and ends it.

    Raises ``RuntimeError`` with its log if it does not start.
    """
    (base / "custom_nodes").mkdir(parents=True, exist_ok=True)
    for name, folder in packs.items():
        (base / "custom_nodes" / name).symlink_to(folder, target_is_directory=True)
    log = base / "comfyui.log"
    environment = {**os.environ, "PYTHONPATH": str(_CLIENT), **(variables or {})}
    with (
        log.open("w", encoding="utf-8") as errors,
        subprocess.Popen(
            [sys.executable, "-P", str(_PROGRAM), str(base)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=lambda: lines.put(process.stdout.readline()), daemon=True).start()  # type: ignore[union-attr]
        try:
            port = lines.get(timeout=_START_SECONDS).strip()
            if not port:
                raise RuntimeError(f"the stub did not start:\n{log.read_text()}")
            yield Comfy(f"http://127.0.0.1:{port}", base)
        finally:
            process.terminate()
            process.wait(20)
