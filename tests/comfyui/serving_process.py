"""A Stillcue server in a process of its own, for programs that call it from outside; its metrics over HTTP."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
POCKET = ROOT / "pocket" / "model"
_END_SECONDS = 30


class ServingProcess:
    """``address`` is that of the gRPC service, HOST:PORT."""

    def __init__(self, process: subprocess.Popen[str], address: str, metrics: str) -> None:
        self.address = address
        self._process = process
        self._metrics = metrics

    def samples(self) -> dict[str, float]:
        """Returns all metrics at one moment, without ``stillcue_``: ``jobs_total{outcome="completed"}``."""
        with urllib.request.urlopen(f"http://{self._metrics}/metrics", timeout=10) as response:
            found = re.findall(r"^stillcue_(\S+) (\S+)$", response.read().decode(), re.MULTILINE)
        return {name: float(value) for name, value in found}

    def sample(self, name: str) -> float:
        """Returns one metric; 0 if there is none of that name."""
        return self.samples().get(name, 0.0)

    def reaches(self, name: str, value: float, within_seconds: float = 120.0) -> None:
        """Waits until a metric has a value. Raises ``TimeoutError`` with the last one."""
        deadline = time.monotonic() + within_seconds
        while (last := self.sample(name)) != value:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{name} is {last:g} and not {value:g} after {within_seconds:g} s")
            time.sleep(0.02)

    def permit(self, graph_call_count: int) -> list[str]:
        """Lets a gated engine make so many graph calls, and returns their names."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        names = []
        for _ in range(graph_call_count):
            self._process.stdin.write("\n")
            self._process.stdin.flush()
            names.append(self._process.stdout.readline().strip())
        return names

    def kill(self) -> None:
        """Ends the process at once, as a crash does."""
        self._process.kill()
        self._process.wait(_END_SECONDS)


@contextmanager
def serving(*flags: str, module: str = "server", port: int = 0) -> Iterator[ServingProcess]:
    """Starts ``python -m module FLAG...`` and ends it after the block."""
    command = [sys.executable, "-m", module, "--listen", f"127.0.0.1:{port}", "--metrics-listen", "127.0.0.1:0"]
    command += ["--log-level", "error", *flags]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            ready = process.stdout.readline().split()
            assert ready[:2] == ["stillcue", "ready"], f"{' '.join(command)} did not start: {ready}"
            addresses = dict(word.split("=", 1) for word in ready[2:])
            yield ServingProcess(process, addresses["grpc"], addresses["metrics"])
        finally:
            process.terminate()
            try:
                process.communicate(timeout=_END_SECONDS)
            finally:
                process.kill()
