"""A fake engine for the worker process that fails as the prompt or files in its folder tell it to."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from engine.api.cancellation import CancelFlag
from engine.api.capabilities import Capabilities
from engine.api.errors import BundleInvalid, DeviceLost, NonFiniteValues, OutOfMemory
from engine.api.events import Event, Expert, Stage, StepDone
from engine.api.job import PreparedJob
from engine.testing.fake_engine import FAKE_CAPABILITIES, FakeEngine


def open_faulty(folder: Path) -> FaultyEngine:
    """Opens the engine as soon as the folder holds a file ``may-open``.

    Raises ``BundleInvalid`` if the folder holds a file ``broken``; a file ``replaced`` makes it another model.
    """
    _wait_for(folder / "may-open")
    if (folder / "broken").exists():
        raise BundleInvalid("bundle.json is missing")
    name = "replaced" if (folder / "replaced").exists() else "fake"
    return FaultyEngine(folder, replace(FAKE_CAPABILITIES, model_name=name))


class FaultyEngine(FakeEngine):
    """A fake engine that, after the first denoising step, performs the faults named by the prompt's words in order.

    ``full``: out of device memory; ``lose``: the device fails for good; ``allocate``: out of host memory; ``wrong``: an
    error in the engine; ``nan``: NaN in the second step; ``stall``: waits until the folder holds a file ``go-on``.
    """

    def __init__(self, folder: Path, capabilities: Capabilities) -> None:
        super().__init__(capabilities=capabilities)
        self._folder = folder

    def generate(self, job: PreparedJob, cancel: CancelFlag) -> Iterator[Event]:
        for event in super().generate(job, cancel):
            yield event
            if isinstance(event, StepDone) and event.completed_step_count == 1:
                for fault in job.prompt.split():
                    self._go_wrong(fault)

    def _go_wrong(self, fault: str) -> None:
        match fault:
            case "full":
                raise OutOfMemory("cudaMalloc of /secret/path")
            case "lose":
                raise DeviceLost("cudaStreamSynchronize at /secret/path")
            case "allocate":
                raise MemoryError
            case "wrong":
                raise ZeroDivisionError("in /secret/path")
            case "nan":
                raise NonFiniteValues("NaN", Stage.DENOISE, "int4", expert=Expert.HIGH_NOISE, step=2, step_count=4)
            case "stall":
                _wait_for(self._folder / "go-on")


def _wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.005)
