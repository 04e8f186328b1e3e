"""The engine in a worker process, over real sockets: effects of its faults, and recovery."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
import pytest_asyncio
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from engine.api.cancellation import CancelFlag
from engine.api.errors import Cancelled, DeviceLost
from engine.api.events import JobDone, StepDone
from engine.api.media import Image
from engine.api.settings import WorkerSettings
from engine.testing.fake_engine import FakeEngine
from engine.worker.engine import WorkerEngine
from server.rpc.health import LIVENESS
from stillcue.v1 import generate_pb2, match_pb2, media_pb2
from tests.fake_job import without_clocks
from tests.faulty_worker import open_faulty
from tests.serving import (
    PATIENCE_SECONDS,
    PROMPT,
    Served,
    detail,
    eventually,
    failure_of,
    generate_request,
    kinds,
    png,
    read_all,
    reason,
    served,
    violations,
)
from tests.test_server_lifecycle import check
from tests.worker_jobs import STALLED_JOB, until_it_stalls

ROOT = Path(__file__).parent.parent
DOWN_COUNT = "stillcue_worker_down_seconds_count"
pytestmark = pytest.mark.asyncio(loop_scope="module")
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


@dataclass(frozen=True)
class Isolated:
    """A server whose engine is in a process of its own."""

    served: Served
    engine: WorkerEngine
    folder: Path

    @property
    def stub(self) -> Any:
        return self.served.stub

    def generate(self, prompt: str) -> Any:
        return self.stub.Generate(generate_request(prompt=prompt))

    def watch_health(self) -> Any:
        stub: Any = health_pb2_grpc.HealthStub(self.served.channel)
        return stub.Watch(health_pb2.HealthCheckRequest())

    async def restarts(self, why: str) -> float:
        return await self.served.sample(f"stillcue_worker_restarts_total{{reason={why}}}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def isolated(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Isolated]:
    folder = tmp_path_factory.mktemp("worker")
    (folder / "may-open").touch()
    settings = WorkerSettings(restart_seconds=0.0)
    engine = await asyncio.to_thread(WorkerEngine(partial(open_faulty, folder), settings).open)
    async with served(engine) as server:
        yield Isolated(server, engine, folder)


async def status_after(watch: Any) -> int:
    message = await asyncio.wait_for(anext(aiter(watch)), PATIENCE_SECONDS)
    return int(message.status)


async def test_a_clip_is_the_same_as_from_an_engine_in_this_process(isolated: Isolated) -> None:
    stream = generate_pb2.StreamSpec(preview_every_step_count=2)
    request = generate_request(stream=stream)
    async with served(FakeEngine()) as here:
        expected = await read_all(here.stub.Generate(request))
    actual = await read_all(isolated.stub.Generate(request))
    assert without_clocks(actual) == without_clocks(expected)


async def test_a_score_and_a_refused_score(isolated: Isolated) -> None:
    picture = media_pb2.Image(data=png(900, 700))
    response = await isolated.stub.ScoreMatch(match_pb2.ScoreMatchRequest(image=picture, prompt=PROMPT))
    expected = FakeEngine().score_match(Image(png(900, 700)), PROMPT)
    assert response.report.score == pytest.approx(expected.score)
    error = await failure_of(isolated.stub.ScoreMatch(match_pb2.ScoreMatchRequest(image=picture)))
    assert reason(error) == "INVALID_JOB"
    assert [field for field, _ in violations(error)] == ["prompt"]


async def test_a_score_does_not_wait_for_the_clip_and_a_cancel_takes_effect_after_the_call(isolated: Isolated) -> None:
    idle_count = await isolated.served.sample("stillcue_cancel_latency_seconds_count")
    cancelled_count = await isolated.served.sample("stillcue_jobs_total{outcome=cancelled}")
    running = isolated.generate("stall here")
    await until_it_stalls(running)
    picture = media_pb2.Image(data=png())
    await isolated.stub.ScoreMatch(match_pb2.ScoreMatchRequest(image=picture, prompt=PROMPT))
    running.cancel()
    await isolated.served.reaches("stillcue_jobs_total{outcome=cancelled}", cancelled_count + 1)
    assert await isolated.served.sample("stillcue_cancel_latency_seconds_count") == idle_count  # the call still runs
    (isolated.folder / "go-on").touch()
    await isolated.served.reaches("stillcue_cancel_latency_seconds_count", idle_count + 1)
    (isolated.folder / "go-on").unlink()
    assert kinds(await read_all(isolated.generate(PROMPT)))[-1] == "summary"


async def test_a_crash_costs_the_running_job_only(isolated: Isolated, promise: Callable[[str, str], None]) -> None:
    watch = isolated.watch_health()
    assert await status_after(watch) == SERVING
    (isolated.folder / "may-open").unlink()
    process_id = isolated.engine.process_id
    assert process_id is not None
    restarts, down_count = await isolated.restarts("crashed"), await isolated.served.sample(DOWN_COUNT)
    running = isolated.generate("stall here")
    await until_it_stalls(running)
    waiting = isolated.generate(PROMPT)
    assert (await anext(aiter(waiting))).WhichOneof("event") == "accepted"
    os.kill(process_id, signal.SIGKILL)
    killed_at = time.perf_counter()
    error = await failure_of(running)
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert reason(error) == "ENGINE_LOST"
    retry = detail(error, error_details_pb2.RetryInfo)
    assert retry is not None
    assert retry.retry_delay.ToNanoseconds() > 0
    assert await status_after(watch) == NOT_SERVING
    flip_seconds = time.perf_counter() - killed_at
    assert await check(isolated.served.channel, LIVENESS) == SERVING
    refused = await failure_of(isolated.generate(PROMPT))
    assert refused.code() is grpc.StatusCode.UNAVAILABLE
    assert reason(refused) == "ENGINE_RESTARTING"
    picture = media_pb2.Image(data=png())
    score = isolated.stub.ScoreMatch(match_pb2.ScoreMatchRequest(image=picture, prompt=PROMPT))
    assert reason(await failure_of(score)) == "ENGINE_RESTARTING"
    assert await isolated.restarts("crashed") == restarts + 1
    assert await isolated.served.sample("stillcue_worker_resident_memory_bytes") == 0
    assert await isolated.served.sample("stillcue_serving") == 0
    (isolated.folder / "may-open").touch()
    assert await status_after(watch) == SERVING
    messages = await read_all(waiting)
    assert kinds(messages)[-1] == "summary"
    assert kinds(messages).count("frame") == 9
    assert await isolated.served.sample(DOWN_COUNT) == down_count + 1
    assert await isolated.served.sample("stillcue_worker_resident_memory_bytes") > 0
    assert isolated.engine.process_id != process_id
    watch.cancel()
    promise(
        "worker", f"killed: UNAVAILABLE, NOT_SERVING after {1000 * flip_seconds:.0f} ms; the waiting job is complete"
    )


@pytest.mark.parametrize("fault", ["full", "allocate"])
async def test_a_lack_of_memory_has_its_own_reason_and_gives_memory_back(
    isolated: Isolated, fault: str, promise: Callable[[str, str], None]
) -> None:
    process_id, before = isolated.engine.process_id, await isolated.restarts("out_of_memory")
    running = isolated.generate(f"stall {fault}")
    await until_it_stalls(running)
    waiting = isolated.generate(PROMPT)
    assert (await anext(aiter(waiting))).WhichOneof("event") == "accepted"
    (isolated.folder / "go-on").touch()
    error = await failure_of(running)
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert reason(error) == "OUT_OF_MEMORY"
    assert detail(error, error_details_pb2.RetryInfo) is not None
    assert "secret" not in (error.details() or "")
    await eventually(lambda: isolated.engine.process_id not in {None, process_id})
    await isolated.served.reaches("stillcue_worker_restarts_total{reason=out_of_memory}", before + 1)
    assert kinds(await read_all(waiting))[-1] == "summary"
    (isolated.folder / "go-on").unlink()
    await isolated.served.reaches("stillcue_serving", 1)
    assert not psutil.pid_exists(process_id or 0)
    promise("worker", "out of memory: UNAVAILABLE with RetryInfo, memory given back, the next worker serves")


async def test_a_lost_gpu_ends_the_process_and_the_next_one_serves(
    isolated: Isolated, caplog: pytest.LogCaptureFixture
) -> None:
    process_id, before = isolated.engine.process_id, await isolated.restarts("device_lost")
    running = isolated.generate("stall lose")
    await until_it_stalls(running)
    waiting = isolated.generate(PROMPT)
    assert (await anext(aiter(waiting))).WhichOneof("event") == "accepted"
    (isolated.folder / "go-on").touch()
    error = await failure_of(running)
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert reason(error) == "ENGINE_LOST"
    assert (
        error.details() == "the GPU failed, so the engine must be restarted; send the job again, or to another server"
    )
    retry = detail(error, error_details_pb2.RetryInfo)
    assert retry is not None
    assert retry.retry_delay.ToNanoseconds() > 0
    assert kinds(await read_all(waiting))[-1] == "summary"
    (isolated.folder / "go-on").unlink()
    await isolated.served.reaches("stillcue_serving", 1)
    assert await isolated.restarts("device_lost") == before + 1
    assert isolated.engine.process_id != process_id
    assert f"{DeviceLost('')}\ncudaStreamSynchronize at /secret/path" in caplog.text


async def test_a_job_with_a_resume_window_goes_on_in_the_next_process_without_a_seam(isolated: Isolated) -> None:
    stream = generate_pb2.StreamSpec(resume_window=Duration(seconds=60), preview_every_step_count=1)
    request = generate_request(prompt="stall here", stream=stream)
    begun_again = await isolated.served.sample("stillcue_jobs_begun_again_total")
    call = isolated.stub.Generate(request)
    messages = await until_it_stalls(call)
    os.kill(isolated.engine.process_id or 0, signal.SIGKILL)
    (isolated.folder / "go-on").touch()
    messages += await read_all(call)
    assert await isolated.served.sample("stillcue_jobs_begun_again_total") == begun_again + 1
    request.request_id = ""
    unbroken = await read_all(isolated.stub.Generate(request))
    (isolated.folder / "go-on").unlink()
    assert kinds(messages) == kinds(unbroken)
    assert [message.sequence_number for message in messages] == list(range(len(messages)))
    assert [message.frame for message in messages] == [message.frame for message in unbroken]
    previews = [message.denoise_progress.preview for message in messages]
    assert previews == [message.denoise_progress.preview for message in unbroken]


async def test_a_mistake_of_the_engine_costs_no_process_and_stays_in_the_log(
    isolated: Isolated, caplog: pytest.LogCaptureFixture
) -> None:
    process_id = isolated.engine.process_id
    error = await failure_of(isolated.generate("wrong turn"))
    assert reason(error) == "GRAPH_FAILED"
    assert "secret" not in (error.details() or "")
    assert "ZeroDivisionError: in /secret/path" in caplog.text
    assert "faulty_worker.py" in caplog.text  # where it happened, in the other process
    assert kinds(await read_all(isolated.generate(PROMPT)))[-1] == "summary"
    assert isolated.engine.process_id == process_id


async def test_nan_in_the_model_costs_one_job_and_no_process(isolated: Isolated) -> None:
    process_id = isolated.engine.process_id
    error = await failure_of(isolated.generate("nan"))
    info = detail(error, error_details_pb2.ErrorInfo)
    assert info is not None
    assert info.reason == "NON_FINITE_VALUES"
    facts = {key: value for key, value in info.metadata.items() if key != "request_id"}
    where = {"stage": "denoise", "expert": "high_noise", "step": "2", "step_count": "4"}
    assert facts == {**where, "precision": "int4"}
    assert kinds(await read_all(isolated.generate(PROMPT)))[-1] == "summary"
    assert isolated.engine.process_id == process_id


async def test_the_shared_memory_has_no_name(isolated: Isolated) -> None:
    maps = Path(f"/proc/{isolated.engine.process_id}/maps").read_text(encoding="utf-8")
    shared = [line for line in maps.splitlines() if "/dev/shm/" in line]
    assert shared
    assert all(line.endswith("(deleted)") for line in shared)


async def test_an_iterator_can_be_cancelled_or_left(isolated: Isolated) -> None:
    engine, cancel = isolated.engine, CancelFlag()
    events = engine.generate(engine.prepare(STALLED_JOB), cancel)
    assert any(isinstance(event, StepDone) for event in events)  # the first one: now it stalls
    cancel.set()
    (isolated.folder / "go-on").touch()
    with pytest.raises(Cancelled):
        list(events)
    (isolated.folder / "go-on").unlink()
    fine = engine.prepare(replace(STALLED_JOB, prompt=PROMPT))
    left = engine.generate(fine, CancelFlag())
    next(left)
    left.close()  # type: ignore[attr-defined]  # a generator
    assert isinstance(list(engine.generate(fine, CancelFlag()))[-1], JobDone)
