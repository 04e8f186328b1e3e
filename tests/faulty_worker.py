"""A fake engine for workers, whose prompts and files say what goes wrong. Imported by the worker's own process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from engine import FakeEngine
from engine.cancellation import CancelFlag
from engine.errors import OutOfMemory
from engine.types import Event, PreparedJob, StepDone


def open_faulty(folder: Path) -> FaultyEngine:
    """Opens the engine as soon as the folder holds a file ``may-open``."""
    _wait_for(folder / "may-open")
    return FaultyEngine(folder)


class FaultyEngine(FakeEngine):
    """After the first denoising step it does what the prompt's first word says.

    ``full``: the device has no memory left; ``allocate``: Python has none;
    ``wrong``: a mistake in the engine; ``stall``: it waits until the folder holds a file ``go-on``.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def generate(self, job: PreparedJob, cancel: CancelFlag) -> Iterator[Event]:
        fault = job.prompt.split()[0]
        for event in super().generate(job, cancel):
            yield event
            if isinstance(event, StepDone) and event.completed_step_count == 1:
                self._go_wrong(fault)

    def _go_wrong(self, fault: str) -> None:
        match fault:
            case "full":
                raise OutOfMemory("cudaMalloc of /secret/path")
            case "allocate":
                raise MemoryError
            case "wrong":
                raise ZeroDivisionError("in /secret/path")
            case "stall":
                _wait_for(self._folder / "go-on")


def _wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.005)
