"""A server whose fake engine takes a fixed time: ``python -m benchmarks.fleet.side CALL_SECONDS WIDTH HEIGHT FRAMES``.

More arguments are flags of the server. Prints the server's ready line; then, for each job that begins, ``begin`` and
the seed of the job.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import sys
from collections.abc import Iterator

from engine.api.cancellation import CancelFlag
from engine.api.capabilities import Geometry
from engine.api.events import Event
from engine.api.job import PreparedJob
from engine.testing.fake_engine import FAKE_CAPABILITIES, FakeEngine
from server.lifecycle.run import run
from server.settings import Settings


class TimedEngine(FakeEngine):
    """The fake engine with graph calls of a fixed duration and clips of one size, which tells each job's beginning."""

    def __init__(self, call_seconds: float, geometry: Geometry) -> None:
        capabilities = dataclasses.replace(FAKE_CAPABILITIES, geometries=(geometry,))
        super().__init__(call_seconds=call_seconds, capabilities=capabilities)

    def generate(self, job: PreparedJob, cancel: CancelFlag) -> Iterator[Event]:
        """Prints the seed, then does as the fake engine."""
        os.write(1, f"begin {job.settings.seed}\n".encode())
        yield from super().generate(job, cancel)


def main() -> None:
    """Serves until SIGTERM."""
    call_seconds, width_px, height_px, frame_count, *flags = sys.argv[1:]
    geometry = Geometry(int(width_px), int(height_px), int(frame_count))
    settings = Settings.load(["--engine", "fake", *flags], {})
    is_at_rest = asyncio.run(run(settings, lambda: TimedEngine(float(call_seconds), geometry)))
    os._exit(0 if is_at_rest else 3)


if __name__ == "__main__":
    main()
