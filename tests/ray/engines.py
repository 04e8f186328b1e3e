"""A fake engine in the replicas that the prompt of a job steers, so that one fleet serves every test.

Words of the prompt: ``call=SECONDS`` is the duration of one graph call. With ``gate=FOLDER`` each graph call waits
until the file FOLDER/permits has a larger number than that of the calls before it, and adds its name to FOLDER/calls.
The word ``fault`` makes the first graph call fail in a way that no table knows.
"""

from __future__ import annotations

import re
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from engine import launch_worker_engine
from engine.api.capabilities import Geometry
from engine.api.settings import WorkerSettings
from engine.testing.fake_engine import FAKE_CAPABILITIES, FakeEngine
from server.lifecycle.engine_factory import launch_engine
from server.observability.logs import configure_logging

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.api.cancellation import CancelFlag
    from engine.api.engine import Engine
    from engine.api.events import Event, Expert
    from engine.api.job import PreparedJob
    from server.settings import Settings

# Sizes of clips for the benchmark.
GEOMETRIES = (*FAKE_CAPABILITIES.geometries, Geometry(480, 480, 81), Geometry(832, 480, 81))
_POLL_SECONDS = 0.005
FAULT = "the secret of /opt/secret.py"


class SteeredEngine(FakeEngine):
    """See the module's docstring."""

    def __init__(self) -> None:
        super().__init__(capabilities=replace(FAKE_CAPABILITIES, geometries=GEOMETRIES))
        self._folder: Path | None = None
        self._call_count = 0
        self._is_faulty = False

    def generate(self, job: PreparedJob, cancel: CancelFlag) -> Iterator[Event]:
        seconds = re.search(r"call=(\S+)", job.prompt)
        folder = re.search(r"gate=(\S+)", job.prompt)
        self._call_seconds = float(seconds[1]) if seconds else 0.0
        self._folder = Path(folder[1]) if folder else None
        self._call_count = 0
        self._is_faulty = "fault" in job.prompt.split()
        yield from super().generate(job, cancel)

    def _call(
        self, name: str, cancel: CancelFlag, expert: Expert | None = None, step: int = 0, step_count: int = 0
    ) -> None:
        if self._folder is not None:
            while int((self._folder / "permits").read_text() or "0") <= self._call_count:
                time.sleep(_POLL_SECONDS)
        if self._is_faulty:
            raise RuntimeError(FAULT)
        super()._call(name, cancel, expert, step, step_count)
        self._call_count += 1
        if self._folder is not None:
            with (self._folder / "calls").open("a") as calls:
                calls.write(f"{name}\n")


def launch_steered(settings: Settings) -> Callable[[], Engine]:
    """Opens the steered engine in a worker process; an engine of a bundle as the server opens it."""
    if settings.engine != "fake":
        return launch_engine(settings)
    set_up = partial(configure_logging, settings.log_level, settings.log_format)
    return launch_worker_engine(
        SteeredEngine, WorkerSettings(settings.max_step_seconds, settings.engine_restart_seconds, set_up)
    )
