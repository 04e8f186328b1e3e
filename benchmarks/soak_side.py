"""The server of ``benchmarks.soak`` in a process of its own: ``python -m benchmarks.soak_side [LEAK ...]``.

Prints its address, then answers each line of input with a line of JSON: the memory, tasks, files and threads that it
holds. Each LEAK (``memory``, ``file``, ``task``) leaks one of its kind with every job, on purpose.
"""

from __future__ import annotations

import asyncio
import ctypes
import dataclasses
import gc
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from engine.api.cancellation import CancelFlag
from engine.api.capabilities import Geometry
from engine.api.events import Event
from engine.api.job import PreparedJob
from engine.testing.fake_engine import FAKE_CAPABILITIES, FakeEngine
from engine.worker.engine import WorkerEngine
from server.lifecycle.server import Server
from server.settings import Address, Settings

QUEUE_CAPACITY = 10
SMALL, LARGE = Geometry(32, 32, 9), Geometry(512, 512, 9)
_LEAK_BYTES = 256 * 1024
_CALL_SECONDS = 0.0005


class SoakEngine(FakeEngine):
    """The fake engine with an additional large size, so that a reader can fall behind."""

    def __init__(self) -> None:
        capabilities = dataclasses.replace(FAKE_CAPABILITIES, geometries=(SMALL, LARGE))
        super().__init__(call_seconds=_CALL_SECONDS, capabilities=capabilities)

    def generate(self, job: PreparedJob, cancel: CancelFlag) -> Iterator[Event]:
        """Generates as the fake engine does, and clears the fake's record of calls, which would count as a leak."""
        self.graph_calls.clear()
        yield from super().generate(job, cancel)


class LosingEngine(WorkerEngine):
    """A worker engine that leaks in the server's process, on purpose."""

    def __init__(self, leaks: list[str]) -> None:
        super().__init__(SoakEngine)
        self._leaks = leaks
        self._lost: list[Any] = []
        self.loop: asyncio.AbstractEventLoop | None = None

    def generate(self, job: PreparedJob, cancel: CancelFlag) -> Iterator[Event]:
        """See ``Engine.generate``."""
        if "memory" in self._leaks:
            self._lost.append(os.urandom(_LEAK_BYTES))
        if "file" in self._leaks:
            self._lost.append(os.open(os.devnull, os.O_RDONLY))
        if "task" in self._leaks and self.loop is not None:
            self.loop.call_soon_threadsafe(self._lose_task, self.loop)
        yield from super().generate(job, cancel)

    def _lose_task(self, loop: asyncio.AbstractEventLoop) -> None:
        self._lost.append(loop.create_task(asyncio.sleep(3_600)))


def state() -> dict[str, int]:
    """Returns what this process and its children hold, by name; call it in the event loop.

    Free memory is returned to the system first, because the allocator's reserve varies by megabytes.
    """
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # glibc
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    maps = [line for process in processes for line in Path(f"/proc/{process.pid}/maps").read_text().splitlines()]
    return {
        "memory_bytes": sum(process.memory_info().rss for process in processes),
        "file_count": sum(process.num_fds() for process in processes),
        "thread_count": sum(process.num_threads() for process in processes),
        "shared_memory_count": sum("/dev/shm/" in line for line in maps),
        "task_count": len(asyncio.all_tasks()),
    }


async def main(leaks: list[str]) -> None:
    """Serves until standard input ends."""
    free = Address("127.0.0.1", 0)
    engine = await asyncio.to_thread(LosingEngine(leaks).open)
    engine.loop = asyncio.get_running_loop()
    settings = Settings(
        listen=free, metrics_listen=free, engine="fake", queue_capacity=QUEUE_CAPACITY, log_level="error"
    )
    server = Server(settings, lambda: engine)
    address, metrics_address = await server.start()
    print(address, metrics_address, flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(state()), flush=True)
    await server.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
