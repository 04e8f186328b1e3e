"""Worker processes that hang, do not come back, or lose their server: all of them end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import psutil
import pytest
from google.rpc import error_details_pb2

from engine.api.cancellation import CancelFlag
from engine.api.errors import BundleInvalid, EngineHung, EngineLost, EngineRestarting
from engine.api.events import JobDone
from engine.api.settings import WorkerSettings
from engine.worker.arena import Arena, Layout
from engine.worker.engine import WorkerEngine
from tests.faulty_worker import open_faulty
from tests.serving import (
    PATIENCE_SECONDS,
    PROMPT,
    detail,
    eventually,
    failure_of,
    generate_request,
    kinds,
    read_all,
    reason,
    served,
)
from tests.worker_jobs import STALLED_JOB, stalling, until_it_stalls

ROOT = Path(__file__).parent.parent


async def test_a_stop_kills_a_worker_that_does_not_come_to_rest(tmp_path: Path) -> None:
    with stalling(tmp_path, 600.0) as engine:
        async with served(engine) as server:
            running = server.stub.Generate(generate_request(prompt="stall for good"))
            await until_it_stalls(running)
            process_id = engine.process_id
            assert await server.server.stop()
            assert reason(await failure_of(running)) == "SERVER_DRAINING"
            assert not psutil.pid_exists(process_id or 0)


async def test_a_hang_past_the_limit_ends_the_process(tmp_path: Path, promise: Callable[[str, str], None]) -> None:
    with stalling(tmp_path, 5.0) as engine:
        process_id = engine.process_id
        with pytest.raises(EngineHung, match="one step took longer than 5 s") as caught:
            list(engine.generate(engine.prepare(STALLED_JOB), CancelFlag()))
        assert isinstance(caught.value, EngineLost)
        await eventually(lambda: not psutil.pid_exists(process_id or 0))
    promise("worker", "a call that hangs ends its process at the limit, here 5 s")


async def test_a_drain_lets_the_job_in_the_worker_finish_and_refuses_those_who_wait(tmp_path: Path) -> None:
    with stalling(tmp_path, 600.0) as engine:
        async with served(engine) as server:
            running = server.stub.Generate(generate_request(prompt="stall a while"))
            await until_it_stalls(running)
            waiting = server.stub.Generate(generate_request())
            assert (await anext(aiter(waiting))).WhichOneof("event") == "accepted"
            draining = asyncio.create_task(server.server.drain(asyncio.Event()))
            error = await failure_of(waiting)
            assert reason(error) == "SERVER_DRAINING"
            assert detail(error, error_details_pb2.RetryInfo) is not None
            assert await server.sample("stillcue_serving") == 0
            assert not draining.done()
            (tmp_path / "go-on").touch()
            assert kinds(await read_all(running))[-1] == "summary"
            await draining


async def test_a_worker_that_does_not_come_back_holds_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "may-open").touch()
    engine = await asyncio.to_thread(
        WorkerEngine(partial(open_faulty, tmp_path), WorkerSettings(restart_seconds=0.01)).open
    )
    try:
        for fault, told in (("broken", "bundle.json is missing"), ("replaced", "has changed since the server started")):
            (tmp_path / fault).touch()
            os.kill(engine.process_id or 0, signal.SIGKILL)
            await eventually(lambda: engine.process_id is None)
            with pytest.raises(EngineRestarting):  # whoever waits is told when the next start fails too
                await asyncio.to_thread(list, engine.generate(engine.prepare(STALLED_JOB), CancelFlag()))
            assert told in caplog.text
            (tmp_path / fault).unlink()
            await eventually(lambda: engine.process_id is not None)
        fine = engine.prepare(replace(STALLED_JOB, prompt=PROMPT))
        assert isinstance(list(engine.generate(fine, CancelFlag()))[-1], JobDone)
    finally:
        await asyncio.to_thread(engine.close)


async def test_too_little_shared_memory_stops_the_start_and_leaves_nothing() -> None:
    with pytest.raises(BundleInvalid, match=r"give /dev/shm more room \(docker run --shm-size\)"):
        Arena.create(Layout.of(1, 2**44, 1, 2**44))
    assert not [path for path in Path("/dev/shm").iterdir() if path.is_file() and path.stat().st_size >= 2**44]


async def test_the_worker_and_its_memory_end_with_a_server_that_is_killed() -> None:
    flags = ["--engine", "fake", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "server", *flags, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    ready = await asyncio.wait_for(process.stdout.readline(), PATIENCE_SECONDS)
    assert ready.startswith(b"stillcue ready")
    started = psutil.Process(process.pid).children()
    assert started
    process.kill()
    await process.wait()
    _, alive = await asyncio.to_thread(psutil.wait_procs, started, PATIENCE_SECONDS)
    assert alive == []
