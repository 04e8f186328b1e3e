"""``python -m tests.gated_server FLAG...``: a server process whose fake engine advances on command of a test.

Each line on stdin permits one graph call; each graph call is printed as a line on stdout after the ready line.
"""

from __future__ import annotations

import asyncio
import os
import sys
from threading import Semaphore, Thread
from typing import TYPE_CHECKING

from engine.testing.fake_engine import FakeEngine
from server.lifecycle.run import run
from server.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.api.cancellation import CancelFlag
    from engine.api.events import Event
    from engine.api.job import PreparedJob


class ReportingEngine(FakeEngine):
    """A fake engine that prints each graph call after making it."""

    def generate(self, job: PreparedJob, cancel: CancelFlag) -> Iterator[Event]:
        reported = len(self.graph_calls)
        for event in super().generate(job, cancel):
            for name in self.graph_calls[reported:]:
                os.write(1, f"{name}\n".encode())
            reported = len(self.graph_calls)
            yield event


def main() -> None:
    gate = Semaphore(0)

    def step() -> None:
        for _ in sys.stdin:
            gate.release()

    Thread(target=step, daemon=True).start()
    is_at_rest = asyncio.run(run(Settings.load(sys.argv[1:], {}), lambda: ReportingEngine(gate=gate)))
    os._exit(0 if is_at_rest else 3)


if __name__ == "__main__":
    main()
