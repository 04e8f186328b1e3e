"""A real ComfyUI in a folder of its own: started, waited for, ended; its log in a file."""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import subprocess
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.comfyui.comfy import Comfy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.comfyui.installation import Installation

_READY = "To see the GUI go to: "
_SETTINGS = {"Comfy.TutorialCompleted": True, "Comfy.Minimap.Visible": False}
"""The front end opens with an empty canvas, and nothing covers its lower right corner."""
_START_SECONDS = 180
_END_SECONDS = 30


class RealComfy(Comfy):
    """A running ComfyUI; ``log`` is the file with its output."""

    def __init__(self, url: str, folder: Path, log: Path, process: subprocess.Popen[str]) -> None:
        super().__init__(url, folder)
        self.log = log
        self._process = process

    def end(self, with_signal: signal.Signals = signal.SIGTERM) -> None:
        """Ends the process and waits for it; an ended one stays ended."""
        if self._process.poll() is None:
            self._process.send_signal(with_signal)
        self._process.wait(timeout=_END_SECONDS)


@contextmanager
def real_comfy(
    installation: Installation, base: Path, packs: Mapping[str, Path], variables: Mapping[str, str] | None = None
) -> Iterator[RealComfy]:
    """Starts ComfyUI on a free port with ``packs``, folders by their names in ``custom_nodes``, and ends it.

    A second start in the same ``base`` finds the files of the first. Raises ``RuntimeError`` with the end of the log if
    it does not start.
    """
    for name in ("custom_nodes", "input", "output", "user", "models"):
        (base / name).mkdir(parents=True, exist_ok=True)
    for name, folder in packs.items():
        link = base / "custom_nodes" / name
        if not link.exists():
            link.symlink_to(folder, target_is_directory=True)
    settings = base / "user" / "default" / "comfy.settings.json"
    if not settings.exists():
        settings.parent.mkdir(parents=True, exist_ok=True)
        settings.write_text(json.dumps(_SETTINGS), encoding="utf-8")
    log = base / "comfyui.log"
    command = [str(installation.python), "main.py", "--cpu", "--disable-api-nodes", "--log-stdout"]
    command += ["--port", str(_free_port()), "--base-directory", str(base)]
    command += ["--database-url", f"sqlite:///{base / 'user' / 'comfyui.db'}"]
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background job; ComfyUI would inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    environment = {**os.environ, "PYTHONPATH": installation.python_path, "PYTHONUNBUFFERED": "1", **(variables or {})}
    with subprocess.Popen(
        command,
        cwd=installation.folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        addresses: queue.Queue[str | None] = queue.Queue()
        reader = threading.Thread(target=_follow, args=(process, log, addresses))
        reader.start()
        try:
            address = addresses.get(timeout=_START_SECONDS)
            if address is None:
                raise RuntimeError(f"ComfyUI did not start; the end of its log:\n{log.read_text()[-2000:]}")
            yield RealComfy(address, base, log, process)
        finally:
            if process.poll() is None:
                process.terminate()
            try:
                process.wait(timeout=_END_SECONDS)
            finally:
                process.kill()
                reader.join()


def _follow(process: subprocess.Popen[str], log: Path, addresses: queue.Queue[str | None]) -> None:
    """Copies the output into ``log``; reports the address once it is served, ``None`` once the output ends."""
    assert process.stdout is not None
    with log.open("a", encoding="utf-8") as file:
        for line in process.stdout:
            file.write(line)
            file.flush()
            if line.startswith(_READY):
                addresses.put(line.removeprefix(_READY).strip())
    addresses.put(None)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
