"""Child processes of benchmarks: sides that answer line by line, and the time until a process prints its ready line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.clip import Take, Timing
from engine.runtime.process_memory import resident_bytes

ROOT = Path(__file__).resolve().parents[1]


class Side:
    """The process of one side; a context manager that waits for the ready line on entry."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._process = spawn(module, *arguments)

    def __enter__(self) -> Self:
        first_line(self._process)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def resident_bytes(self) -> int:
        """The memory of the process now."""
        return resident_bytes(self._process.pid)

    def make(self, take: Take) -> Timing:
        """Runs one take and returns its timing; nothing else should run meanwhile."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(take)) + "\n")
        self._process.stdin.flush()
        return Timing(**json.loads(first_line(self._process)))


def spawn(module: str, *arguments: str) -> subprocess.Popen[str]:
    """Starts ``python -m module`` in the root of the repository, with bytecode cached as in an installation."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def first_line(process: subprocess.Popen[str]) -> str:
    """Returns the next line of a process's output. Raises ``SystemExit`` if the process ended without one."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise SystemExit(f"{process.args!r} ended with status {process.wait()} before it answered")
    return line


def seconds_to_ready(command: Sequence[str]) -> float:
    """Returns the seconds from starting ``python -m command`` to its first line of output, then ends the process."""
    started = time.perf_counter()
    process = spawn(*command)
    first_line(process)
    seconds = time.perf_counter() - started
    process.terminate()
    process.communicate()
    return seconds
