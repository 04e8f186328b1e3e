"""Jobs that stall in a worker process, and the engine that runs such a process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from engine.api.job import Job
from engine.api.media import Image
from engine.api.settings import WorkerSettings
from engine.worker.engine import WorkerEngine
from stillcue.v1 import generate_pb2
from tests.faulty_worker import open_faulty
from tests.serving import png

STALLED_JOB = Job(Image(png()), "stall for good")


async def until_it_stalls(call: Any) -> list[generate_pb2.GenerateResponse]:
    """Reads a stream up to its first step."""
    messages = []
    async for message in call:
        messages.append(message)
        if message.WhichOneof("event") == "denoise_progress":
            return messages
    raise AssertionError("the stream ended")


@contextmanager
def stalling(folder: Path, max_step_seconds: float) -> Iterator[WorkerEngine]:
    """An engine whose worker process may start, and whose lost process would not be replaced within the test."""
    (folder / "may-open").touch()
    engine = WorkerEngine(partial(open_faulty, folder), WorkerSettings(max_step_seconds, restart_seconds=60.0)).open()
    try:
        yield engine
    finally:
        engine.close()
