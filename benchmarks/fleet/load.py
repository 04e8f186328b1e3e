"""Callers: each generates clip after clip through one address, and notes what came and what was refused."""

from __future__ import annotations

import asyncio
import io
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

import stillcue

PROMPT = "a red fox turns its head"
WINDOW_SECONDS = 60.0


@dataclass
class Load:
    """The outcome of a load. ``events`` holds the comparable content of every event, by seed of the job."""

    seconds: float = 0.0
    work_seconds: float = 0.0
    events: dict[int, list[Any]] = field(default_factory=dict)
    failures: list[stillcue.StillcueError] = field(default_factory=list)
    refusals: list[stillcue.StillcueError] = field(default_factory=list)

    @property
    def completed_count(self) -> int:
        """Jobs whose summary came."""
        return len(self.events)


def client_of(address: str, load: Load, wait_when_busy_seconds: float = 0.0) -> stillcue.AsyncClient:
    """A client with a connection of its own, which notes refusals that it repeats."""
    return stillcue.AsyncClient(
        address,
        wait_when_busy_seconds=wait_when_busy_seconds,
        on_refusal=lambda error, _: load.refusals.append(error),
    )


async def run_job(
    client: stillcue.AsyncClient,
    seed: int,
    load: Load,
    *,
    prompt: str = PROMPT,
    on_event: Callable[[list[Any]], Awaitable[None]] | None = None,
    **options: Any,
) -> None:
    """Runs one job to its end; ``on_event`` sees the events so far after each one."""
    events: list[Any] = []
    try:
        stream = client.generate(
            PICTURE,
            prompt,
            seed=seed,
            match=stillcue.MatchMode.OFF,
            frame_encoding=stillcue.FrameEncoding.RAW_RGB,
            resume_window_seconds=WINDOW_SECONDS,
            **options,
        )
        async for event in stream:
            if not isinstance(event, stillcue.QueueUpdate):  # they tell of other jobs
                events.append(_comparable(event))
            if isinstance(event, stillcue.Summary):
                load.work_seconds += event.work_seconds
            if on_event is not None:
                await on_event(events)
    except stillcue.StillcueError as error:
        load.failures.append(error)
    else:
        load.events[seed] = events


async def run_load(
    address: str,
    job_count: int,
    caller_count: int,
    *,
    first_seed: int = 0,
    wait_when_busy_seconds: float = 0.0,
    **options: Any,
) -> Load:
    """``caller_count`` callers share ``job_count`` jobs; each has a connection and begins its next job at once."""
    load = Load()
    seeds: Iterator[int] = itertools.islice(itertools.count(first_seed), job_count)

    async def call() -> None:
        async with client_of(address, load, wait_when_busy_seconds) as client:
            await client.capabilities()
            ready.release()
            await begin.wait()
            for seed in seeds:
                await run_job(client, seed, load, **options)

    ready, begin = asyncio.Semaphore(0), asyncio.Event()
    callers = [asyncio.create_task(call()) for _ in range(caller_count)]
    for _ in callers:
        await ready.acquire()
    started = time.perf_counter()
    begin.set()
    await asyncio.gather(*callers)
    load.seconds = time.perf_counter() - started
    return load


def frames_in(events: list[Any]) -> list[Any]:
    """The frames among the comparable events of a job."""
    return [event for event in events if event[0] == "frame"]


def fake_frames(seed: int, size: tuple[int, int, int], prompt: str = PROMPT) -> list[Any]:
    """The frames of a job on the fake engine, as its docstring gives them; ``size`` is width, height and frames."""
    width_px, height_px, frame_count = size
    return [
        ("frame", index, bytes([(seed + index) % 256, index, len(prompt) % 256]) * (width_px * height_px))
        for index in range(frame_count)
    ]


def _comparable(event: Any) -> Any:
    """The content that two runs of one job share: the kind of event, steps, previews and frames."""
    if isinstance(event, stillcue.Frame):
        return "frame", event.index, event.data
    if isinstance(event, stillcue.DenoiseProgress):
        return "step", event.completed_step_count, None if event.preview is None else event.preview.data
    if isinstance(event, stillcue.StageStarted):
        return "stage", event.stage
    return (type(event).__name__,)


def _picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), "grey").save(buffer, "PNG")
    return buffer.getvalue()


PICTURE = _picture()
