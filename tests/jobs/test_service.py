"""The job service in its five steps: resume, join, reserve, prepare, enqueue. Engine and threads are scripted."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from engine.api.chain import SegmentSpec
from engine.api.errors import Cancelled, InvalidJob, NotCompiled, ScorerMissing, Violation
from engine.api.events import Expert, StepDone
from engine.api.fields import Field
from engine.api.job import Job
from engine.api.media import Image
from engine.testing.fake_engine import FAKE_CAPABILITIES
from server.errors.refusals import (
    DeadlinePassed,
    DeadlineTooShort,
    FieldViolation,
    InvalidRequest,
    JobNotFound,
    QueueFull,
    QuotaExceeded,
    RequestIdReused,
    ServerDraining,
    SizeNotCompiled,
)
from server.jobs.deadline import Deadline
from server.jobs.estimates import Estimates
from server.jobs.queue import JobQueue
from server.jobs.registry import JobRegistry
from server.jobs.request import JobRequest
from server.jobs.resume_token import Progress, ResumeToken
from server.jobs.service import JobReading, JobService
from server.jobs.spec import JobKey
from server.security.caller import Caller, CallerLimits
from server.security.quotas import Quotas
from tests.jobs.chains import prepared_chain
from tests.jobs.scripted import (
    DENOISE,
    DONE,
    MATCH,
    REPLICA,
    RUN,
    Clock,
    HandDrivenExecutor,
    HandDrivenThread,
    PlainEncoder,
    RecordingListener,
    ScriptedEngine,
    Timers,
    job_workers,
    name_of,
    prepared,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.api.job import Job, PreparedJob

SHOP = Caller("shop", CallerLimits(max_jobs=2))
STUDIO = Caller("studio")
WRONG = Violation(Field.FRAME_COUNT, "must be 9")
WRONG_IN_REQUEST = FieldViolation("video.frame_count", "must be 9")
UNREADABLE = FieldViolation("resume_token", "not a resume token")
EVENTS = (MATCH, DONE)


class PreparingEngine(ScriptedEngine):
    """Prepares every job as ``PREPARED``, or raises ``error``."""

    def __init__(self) -> None:
        super().__init__(*[EVENTS] * 10)
        self.error: Exception | None = None
        self.prepared_jobs: list[Any] = []

    def prepare(self, job: Job) -> PreparedJob:
        self.prepared_jobs.append(job)
        if self.error is not None:
            raise self.error
        return PREPARED


PREPARED = prepared()


def job_of(request_id: str) -> Job:
    return Job(Image(b""), f"job {request_id}")


class ImmediatePool:
    """Stands for the pool that prepares requests."""

    async def run(self, function: Callable[..., Any], *args: Any) -> Any:
        return function(*args)


class Server:
    """A job service around scripted parts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capacity: int = 10) -> None:
        self.timers = Timers(monkeypatch)
        self.engine, self.thread = PreparingEngine(), HandDrivenThread()
        pool: Any = ImmediatePool()
        workers = replace(job_workers(self.engine, self.thread, HandDrivenExecutor()), preparers=pool)
        self.queue = JobQueue(capacity, lambda _: None, Clock())
        self.kept: list[int] = []
        self.registry = JobRegistry(10_000, self.kept.append)
        self.clock = Clock()
        self.estimates = Estimates(FAKE_CAPABILITIES, self.clock)
        self.quotas = Quotas(Clock())
        self.service = JobService(workers, self.queue, self.registry, self.estimates, self.quotas, REPLICA)
        self.listeners: list[RecordingListener] = []

    def request(self, request_id: str = "1", window_seconds: float = 0.0, **fields: Any) -> JobRequest:
        values: dict[str, Any] = {
            "request_id": request_id,
            "job": job_of(request_id),
            "resume_window_seconds": window_seconds,
            "resumes": False,
            "resume_token": None,
            "violations": (),
            "paths": {Field.FRAME_COUNT: "video.frame_count"},
            "digest": lambda: b"digest",
        }
        return JobRequest(**values | fields)

    async def ask(
        self, request: JobRequest, caller: Caller = SHOP, remaining_seconds: float | None = None
    ) -> JobReading:
        return await self.service.find_or_admit(
            request,
            caller,
            Deadline(lambda: remaining_seconds),
            arrived_at=100.0,
            encoder=cast("Any", PlainEncoder()),
            make_listeners=self._make_listeners,
        )

    def _make_listeners(self) -> list[RecordingListener]:
        listener = RecordingListener()
        self.listeners.append(listener)
        return [listener]

    async def read(self, reading: JobReading) -> list[str]:
        job, number = reading
        with job.reading(Deadline(lambda: None)):
            return [name_of(cast("Any", message).event) async for message in job.messages(number)]

    def break_off(self, reading: JobReading) -> None:
        with pytest.raises(GeneratorExit), reading.job.reading(Deadline(lambda: None)):
            raise GeneratorExit


async def test_a_new_request_is_prepared_and_gets_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch)
    reading = await server.ask(server.request())
    spec = reading.job.spec
    assert reading.first_number == 0
    assert spec.key == JobKey("shop", "1")
    assert spec.prepared is PREPARED
    assert (spec.arrived_at, spec.resume_window_seconds, spec.request_digest) == (100.0, 0.0, b"")
    assert spec.estimate == server.estimates.of(PREPARED)
    assert server.engine.prepared_jobs == [job_of("1")]
    assert [listener.names for listener in server.listeners] == [["work_started"]]
    running = asyncio.create_task(server.read(reading))
    await server.thread.run_next()
    assert await running == ["accepted", "match", "completed"]


async def test_jobs_run_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch)
    first, second = [await server.ask(server.request(name)) for name in "12"]
    running = asyncio.create_task(server.read(first))
    await server.thread.run_next()
    await running
    running = asyncio.create_task(server.read(second))
    await server.thread.run_next()
    assert await running == ["accepted", "queue 1", "queue 0", "match", "completed"]
    assert server.queue._line == []


async def test_callers_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch)
    for name in "12":
        await server.ask(server.request(name))
    studio = await server.ask(server.request("3"), STUDIO)
    waiting = asyncio.create_task(server.read(studio))
    await server.thread.run_next()  # the shop's first job; the studio's comes before the shop's second one
    await server.thread.run_next()
    assert await waiting == ["accepted", "queue 1", "queue 0", "match", "completed"]


async def test_a_job_that_ends_while_it_waits_leaves_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch)
    await server.ask(server.request("1"))
    waiting = await server.ask(server.request("2"))
    server.break_off(waiting)
    assert len(server.queue._line) == 1


async def test_the_first_event_tells_the_wait_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch)
    waits: list[tuple[str, float]] = []

    def wait_seconds(caller_name: str) -> float:
        waits.append((caller_name, 7.5))
        return 7.5

    monkeypatch.setattr(server.queue, "wait_seconds", wait_seconds)
    reading = await server.ask(server.request())
    with reading.job.reading(Deadline(lambda: None)):
        message: Any = await anext(reading.job.messages(0))
    assert message.event.wait_seconds == 7.5
    assert set(waits) == {("shop", 7.5)}


async def test_completed_jobs_teach_the_estimates_of_the_next_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch)
    server.engine.scripts[0] = (DENOISE, StepDone(1, 4, Expert.SINGLE, 1.0), DONE)
    await server.ask(server.request("1"))
    await server.thread.run_next()
    reading = await server.ask(server.request("2"))
    assert reading.job.spec.estimate.work_seconds == 0.0  # by a clock that stands still


# Reserve


async def test_a_job_counts_against_the_quota_of_its_caller_until_it_is_released(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = Server(monkeypatch)
    first = await server.ask(server.request("1"))
    await server.ask(server.request("2"))
    with pytest.raises(QuotaExceeded):
        await server.ask(server.request("3"))
    assert server.engine.prepared_jobs == [job_of("1"), job_of("2")]  # refused before any work
    await server.ask(server.request("3"), STUDIO)
    server.break_off(first)
    await server.ask(server.request("4"))


@pytest.mark.parametrize(("part", "method"), [("engine", "prepare"), (None, "_make_listeners"), ("queue", "enter")])
async def test_a_request_that_fails_does_not_count_against_the_quota(
    part: str | None, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(monkeypatch)

    def fail(*_: Any) -> Any:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(server if part is None else getattr(server, part), method, fail)
        for _ in range(3):
            with pytest.raises(RuntimeError):
                await server.ask(server.request())
    for name in "12":
        await server.ask(server.request(name))


# Prepare


async def test_a_request_without_time_left_is_refused_before_it_is_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch)
    with pytest.raises(DeadlinePassed):
        await server.ask(server.request(), remaining_seconds=0.0)
    assert server.engine.prepared_jobs == []


async def test_a_request_to_a_full_queue_is_refused_before_it_is_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch, capacity=0)
    await server.ask(server.request("1"))
    with pytest.raises(QueueFull):
        await server.ask(server.request("2"))
    assert server.engine.prepared_jobs == [job_of("1")]


async def test_faults_that_decoding_and_the_engine_found_are_reported_together(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch)
    server.engine.error = InvalidJob(WRONG)
    with pytest.raises(InvalidRequest) as raised:
        await server.ask(server.request(violations=(UNREADABLE,)))
    assert raised.value.violations == (UNREADABLE, WRONG_IN_REQUEST)
    with pytest.raises(InvalidRequest) as raised:
        await server.ask(server.request())
    assert raised.value.violations == (WRONG_IN_REQUEST,)


async def test_a_size_that_was_not_compiled_is_reported_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch)
    server.engine.error = NotCompiled(WRONG)
    with pytest.raises(SizeNotCompiled) as raised:
        await server.ask(server.request())
    assert raised.value.violation == WRONG_IN_REQUEST
    with pytest.raises(InvalidRequest) as refused:
        await server.ask(server.request(violations=(UNREADABLE,)))
    assert refused.value.violations == (UNREADABLE,)


async def test_faults_that_decoding_found_come_before_an_error_of_another_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch)
    server.engine.error = ScorerMissing(Field.MATCH_MODE)
    with pytest.raises(ScorerMissing):
        await server.ask(server.request())
    for error in (ScorerMissing(Field.MATCH_MODE), None):
        server.engine.error = error
        with pytest.raises(InvalidRequest) as raised:
            await server.ask(server.request(violations=(UNREADABLE,)))
        assert raised.value.violations == (UNREADABLE,)


async def test_a_job_that_would_end_after_its_deadline_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch)
    timer = server.estimates.timer(PREPARED)
    timer.work_started(0.0)
    timer.engine_event(DENOISE)
    server.clock.seconds = 10.0
    timer.engine_event(StepDone(1, 1, Expert.SINGLE, 10.0))
    timer.engine_event(DONE)
    await server.ask(server.request("1"), remaining_seconds=40.0)
    with pytest.raises(DeadlineTooShort) as raised:
        await server.ask(server.request("2"), remaining_seconds=79.0)
    error = raised.value
    assert (error.remaining_seconds, error.wait_seconds, error.work_seconds) == (79.0, 40.0, 40.0)
    await server.ask(server.request("2"), remaining_seconds=80.0)


@pytest.mark.parametrize(
    ("seeds", "drawn"),
    [
        ((), 7),  # divided by the stages of the sentence
        ((None, None, None), 7),
        ((100, None, None), 7),
        ((100, 200, None), 7),
        ((7, 100, 200), 7),  # every seed is the request's own
    ],
)
async def test_the_token_of_a_chain_holds_the_seed_that_the_server_drew(
    seeds: tuple[int | None, ...], drawn: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(monkeypatch)
    chain = prepared_chain()
    segments = tuple(
        segment if seed is None else replace(segment, settings=replace(segment.settings, seed=seed))
        for segment, seed in zip(chain.segments, seeds or (None,) * 3, strict=True)
    )
    settings = replace(chain.settings, seed=segments[0].settings.seed)
    monkeypatch.setattr(server.engine, "prepare", lambda _: replace(chain, settings=settings, segments=segments))
    job = replace(job_of("1"), segments=tuple(SegmentSpec("a fox", seed=seed) for seed in seeds))
    reading = await server.ask(server.request(window_seconds=60.0, job=job))
    assert reading.job.spec.run is not None
    assert reading.job.spec.run.seed == drawn


# Join


async def test_an_equal_resumable_request_joins_its_job(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch)
    first = await server.ask(server.request(window_seconds=60.0))
    assert first.job.spec.resume_window_seconds == 60.0
    assert first.job.spec.request_digest == b"digest"
    assert await server.ask(server.request(window_seconds=60.0)) == JobReading(first.job, 0)
    assert server.engine.prepared_jobs == [job_of("1")]
    assert len(server.listeners) == 1
    with pytest.raises(RequestIdReused):
        await server.ask(server.request(window_seconds=60.0, digest=lambda: b"other"))
    other = await server.ask(server.request(window_seconds=60.0), STUDIO)
    assert other.job is not first.job


async def test_a_request_that_cannot_be_resumed_does_not_meet_a_resumable_job_of_its_id(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = Server(monkeypatch)
    resumable = await server.ask(server.request(window_seconds=60.0))
    other = await server.ask(server.request())
    assert other.job is not resumable.job
    assert server.registry.find(JobKey("shop", "1")) is resumable.job


async def test_the_shortest_window_makes_a_job_resumable(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch)
    reading = await server.ask(server.request(window_seconds=0.001))
    assert reading.job.spec.is_resumable
    assert server.registry.find(JobKey("shop", "1")) is reading.job


async def test_a_request_that_cannot_be_resumed_joins_nothing_and_is_not_digested(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = Server(monkeypatch)

    def digest() -> bytes:
        raise AssertionError

    first = await server.ask(server.request(digest=digest))
    second = await server.ask(server.request(digest=digest))
    assert first.job is not second.job
    with pytest.raises(JobNotFound):
        server.registry.find(JobKey("shop", "1"))


async def test_equal_requests_that_are_prepared_at_the_same_time_become_one_job(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = Server(monkeypatch)
    request = server.request(window_seconds=60.0)
    first = await server.ask(request)
    server.registry.forget(first.job.spec.key)

    def prepare(_: Any) -> PreparedJob:
        server.registry.add(first.job)  # as if the first request got its place while this one is prepared
        return PREPARED

    with monkeypatch.context() as patched:
        patched.setattr(server.engine, "prepare", prepare)
        assert await server.ask(request) == JobReading(first.job, 0)
    assert len(server.listeners) == 1
    await server.ask(server.request("2"))  # the second place of the quota is free again
    with pytest.raises(QuotaExceeded):
        await server.ask(server.request("3"))


# Resume


async def test_a_token_resumes_the_stream_after_its_event(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch)
    first = await server.ask(server.request(window_seconds=60.0))
    with first.job.reading(Deadline(lambda: None)):
        message: Any = await anext(first.job.messages(0))
        token = ResumeToken.decode(message.stamps[0][2])
        resumed = await server.ask(server.request(resumes=True, resume_token=token), remaining_seconds=0.0)
        assert resumed == JobReading(first.job, 1)
        assert server.engine.prepared_jobs == [job_of("1")]
        with pytest.raises(JobNotFound):
            await server.ask(server.request(resumes=True, resume_token=token), STUDIO)
        with pytest.raises(JobNotFound):
            await server.ask(server.request("2", resumes=True, resume_token=token))


async def test_a_token_that_cannot_be_read_is_a_fault_of_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch)
    await server.ask(server.request(window_seconds=60.0))
    for token in (None, ResumeToken(RUN, Progress())):
        with pytest.raises(InvalidRequest) as raised:
            await server.ask(server.request(resumes=True, resume_token=token, violations=(UNREADABLE,)))
        assert raised.value.violations == (UNREADABLE,)
    with pytest.raises(InvalidRequest):
        await server.ask(server.request(resumes=True))


# End


async def test_a_resumable_job_is_listed_until_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch)
    reading = await server.ask(server.request(window_seconds=60.0))
    server.break_off(reading)
    assert server.registry.find(JobKey("shop", "1")) is reading.job
    await server.thread.run_next()
    assert server.kept[-1] == reading.job.held_bytes > 0
    server.timers.running[0].fire()
    assert server.kept[-1] == 0
    with pytest.raises(JobNotFound):
        server.registry.find(JobKey("shop", "1"))


async def test_a_job_that_the_registry_cannot_keep_ends_after_every_listener_heard_that_it_is_detached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = Server(monkeypatch)
    server.registry._max_bytes = 0
    server.break_off(await server.ask(server.request(window_seconds=60.0)))
    server.listeners[0].take()
    await server.thread.run_next()
    assert server.listeners[0].names[4:] == [
        "attached",
        "detached",
        "stop_requested",
        "outcome_known",
        "attached",
        "ended",
        "stop_requested",
        "released",
        "released",
    ]
    for name in "23":
        await server.ask(server.request(name))


async def test_a_caller_cancels_its_own_job_only(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch)
    reading = await server.ask(server.request(window_seconds=60.0))
    with pytest.raises(JobNotFound):
        server.service.cancel(STUDIO, "1")
    with pytest.raises(JobNotFound):
        server.service.cancel(SHOP, "2")
    server.service.cancel(SHOP, "1")
    (error,) = [call[1] for call in server.listeners[0].calls if call[0] == "outcome_known"]
    assert isinstance(error, Cancelled)
    assert str(error) == "the caller cancelled the job"
    with pytest.raises(JobNotFound):
        server.service.cancel(SHOP, "1")
    assert reading.job.held_bytes > 0


async def test_new_jobs_are_refused_while_the_engine_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch)
    server.service.refuse_new(lambda: ValueError("not ready"))
    with pytest.raises(ValueError, match="not ready"):
        await server.ask(server.request())
    server.service.refuse_new(None)
    await server.ask(server.request())


def outcomes(server: Server) -> list[str | None]:
    """The type of every job's outcome so far; None: no outcome yet."""
    found = []
    for listener in server.listeners:
        errors = [call[1] for call in listener.calls if call[0] == "outcome_known"]
        found.append(type(errors[0]).__name__ if errors else None)
    return found


async def test_a_draining_server_keeps_only_the_running_job_of_a_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch)
    running = await server.ask(server.request("1"), STUDIO)
    waiting = await server.ask(server.request("2"), STUDIO)
    detached = await server.ask(server.request("3", window_seconds=60.0), STUDIO)
    reads = [asyncio.create_task(server.read(reading)) for reading in (running, waiting)]
    await asyncio.sleep(0)
    server.break_off(detached)
    server.service.drain()
    with pytest.raises(ServerDraining):
        await reads[1]
    assert outcomes(server) == [None, "ServerDraining", "ServerDraining"]
    with pytest.raises(ServerDraining):
        await server.ask(server.request("4"))
    await server.thread.run_next()
    assert await reads[0] == ["accepted", "match", "completed"]


async def test_a_server_that_stops_ends_every_job(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch)
    readings = [await server.ask(server.request(name), STUDIO) for name in "12"]
    kept = await server.ask(server.request("3", window_seconds=60.0), STUDIO)
    reads = [asyncio.create_task(server.read(reading)) for reading in readings]
    await asyncio.sleep(0)
    server.break_off(kept)
    server.service.stop()
    for read in reads:
        with pytest.raises(ServerDraining):
            await read
    assert outcomes(server) == ["ServerDraining"] * 3
    with pytest.raises(JobNotFound):
        server.registry.find(JobKey("studio", "3"))
