"""The life of a job, whose engine, thread pool and timers the test moves: order of listener calls, messages."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from engine.api.errors import Cancelled, EngineLost
from server.errors.refusals import BufferFull, EventsDropped, JobNotFound, ReaderGone, ServerDraining
from server.jobs.deadline import Deadline
from server.jobs.job import GenerateJob
from server.jobs.messages import Accepted, Completed, QueueMoved
from server.jobs.resume_token import Progress, ResumeToken
from tests.jobs.scripted import (
    DENOISE,
    DONE,
    MATCH,
    PICTURE_BYTES,
    TEXT,
    Clock,
    HandDrivenExecutor,
    HandDrivenThread,
    PlainEncoder,
    PlainMessage,
    RecordingListener,
    ScriptedEngine,
    Timers,
    job_spec,
    job_workers,
    name_of,
)

if TYPE_CHECKING:
    from server.jobs.listener import JobListener

EVENTS = (MATCH, TEXT, DONE)


class Life:
    """One job. Its request arrived at second 100, it is queued at second 101."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        *scripts: Any,
        window_seconds: float = 0.0,
        max_buffered_bytes: int = 1_000,
        pictures: dict[Any, int] | None = None,
    ) -> None:
        self.clock = Clock(101.0)
        for module in ("job", "stream", "engine_run"):
            monkeypatch.setattr(f"server.jobs.{module}.time", self.clock)
        self.timers = Timers(monkeypatch)
        self.engine = ScriptedEngine(*(scripts or (EVENTS,)))
        self.thread, self.executor = HandDrivenThread(), HandDrivenExecutor()
        self.encoder = PlainEncoder(pictures)
        self.listener = RecordingListener()
        self.spec = job_spec(window_seconds)
        self.listeners: list[JobListener] = [self.listener]
        workers = job_workers(self.engine, self.thread, self.executor, max_buffered_bytes)
        self.job = GenerateJob(self.spec, workers, self.encoder, self.listeners)

    async def read(self, number: int = 0) -> list[PlainMessage]:
        with self.job.reading(Deadline(lambda: None)):
            return [cast("PlainMessage", message) async for message in self.job.messages(number)]

    async def read_names(self, number: int = 0) -> list[str]:
        return [name_of(message.event) for message in await self.read(number)]

    async def break_off(self) -> str:
        """Reads one message, then the connection breaks. Returns the text of the token."""
        with suppress(GeneratorExit), self.job.reading(Deadline(lambda: None)):
            messages = self.job.messages(0)
            message = cast("PlainMessage", await anext(messages))
            await messages.aclose()
            raise GeneratorExit
        return message.stamps[0][2]


async def test_a_job_that_runs_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    life = Life(monkeypatch)
    life.job.accept(2.5)
    life.clock.seconds = 104.0
    life.job.move(0, 0.0)
    assert life.listener.take() == [("work_started", 3.0)]
    reading = asyncio.create_task(life.read())
    await life.thread.run_next()
    messages = await reading
    assert [message.event for message in messages] == [
        Accepted(life.spec, 2.5),  # no queue update: the job never waited
        MATCH,
        TEXT,
        Completed(life.spec, DONE, 3.0),
    ]
    assert [message.stamps[0] for message in messages] == [(0, 1.0, ""), (1, 4.0, ""), (2, 4.0, ""), (3, 4.0, "")]
    assert life.listener.take() == [
        ("engine_event", MATCH),
        ("engine_event", TEXT),
        ("engine_event", DONE),
        ("work_ended", 104.0),
        ("place_left",),
        ("outcome_known", None),
        ("ended",),
        ("stop_requested",),
        ("released",),
    ]
    ((prepared, flag),) = life.engine.runs
    assert prepared is life.spec.prepared
    assert flag.is_set  # too late to matter


async def test_a_job_that_waits_reports_its_positions_down_to_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    life = Life(monkeypatch)
    life.job.accept(None)
    life.job.move(2, 20.0)
    life.job.move(1, None)
    assert life.thread.work == []
    life.clock.seconds = 111.0
    life.job.move(0, 0.0)
    assert life.listener.take() == [("work_started", 10.0)]
    reading = asyncio.create_task(life.read())
    await life.thread.run_next()
    events = [message.event for message in await reading]
    assert events == [
        Accepted(life.spec, None),
        QueueMoved(2, 20.0),
        QueueMoved(1, None),
        QueueMoved(0, 0.0),
        MATCH,
        TEXT,
        Completed(life.spec, DONE, 10.0),
    ]


async def test_a_job_holds_its_messages_and_its_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    life = Life(monkeypatch)
    assert life.job.held_bytes == PICTURE_BYTES
    life.job.accept(None)
    assert life.job.held_bytes == PICTURE_BYTES + 10


async def test_a_reader_that_leaves_a_waiting_job_gives_up_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    life = Life(monkeypatch)
    life.job.accept(None)
    life.job.move(1, None)
    await life.break_off()
    (name, error), *rest = life.listener.take()
    assert (name, type(error)) == ("outcome_known", Cancelled)
    assert rest == [("ended",), ("place_left",), ("released",)]
    assert life.thread.work == []


async def test_a_reader_that_leaves_a_running_job_stops_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    life = Life(monkeypatch)
    life.job.accept(None)
    life.job.move(0, None)
    life.listener.take()
    await life.break_off()
    (name, error), *rest = life.listener.take()
    assert (name, type(error)) == ("outcome_known", Cancelled)
    assert rest == [("ended",), ("stop_requested",), ("released",)]  # the place stays taken until the engine is free
    held_bytes = life.job.held_bytes
    await life.thread.run_next()
    assert life.engine.runs[0][1].is_set
    assert life.job.held_bytes == held_bytes  # events of a stopped job are listened to, and go nowhere
    assert life.listener.names == ["engine_event"] * 3 + ["work_ended", "place_left"]


async def test_an_error_of_the_engine_ends_the_stream_after_its_events(monkeypatch: pytest.MonkeyPatch) -> None:
    error = EngineLost(5.0)
    life = Life(monkeypatch, (MATCH, error))
    life.job.accept(None)
    life.job.move(0, None)
    reading = asyncio.create_task(life.read())
    await life.thread.run_next()
    with pytest.raises(EngineLost) as raised:
        await reading
    assert raised.value is error
    assert life.listener.take()[1:] == [
        ("engine_event", MATCH),
        ("work_ended", 101.0),
        ("place_left",),
        ("outcome_known", error),
        ("ended",),
        ("stop_requested",),
        ("released",),
    ]


async def test_a_resumable_job_outlives_a_lost_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    life = Life(monkeypatch, (MATCH, EngineLost(5.0)), EVENTS, window_seconds=60.0)
    life.job.accept(None)
    life.job.move(0, None)
    reading = asyncio.create_task(life.read_names())
    await life.thread.run_next()
    assert await reading == ["accepted", "match", "encode_text", "completed"]
    assert life.listener.names[:6] == [
        "work_started",
        "engine_event",
        "retried",
        "engine_event",
        "engine_event",
        "work_ended",
    ]


async def test_a_broken_stream_is_resumed_at_its_next_event(monkeypatch: pytest.MonkeyPatch) -> None:
    life = Life(monkeypatch, window_seconds=60.0)
    life.job.accept(None)
    life.job.move(0, None)
    token = ResumeToken.decode(await life.break_off())
    assert token.progress.next_number == 1
    assert life.listener.take()[1:] == [("detached", False)]
    assert [timer.seconds for timer in life.timers.running] == [60.0]
    await life.thread.run_next()  # the job goes on without a reader
    assert life.listener.take()[3:] == [
        ("work_ended", 101.0),
        ("place_left",),
        ("attached",),
        ("detached", True),
        ("released",),
    ]
    number = life.job.join(token)
    assert number == 1
    assert life.listener.take() == [("resumed",)]
    assert await life.read_names(number) == ["match", "encode_text", "completed"]
    assert life.listener.take() == [("attached",), ("outcome_known", None), ("detached", True), ("released",)]


async def test_a_request_that_is_sent_again_joins_from_the_first_event(monkeypatch: pytest.MonkeyPatch) -> None:
    life = Life(monkeypatch, window_seconds=60.0)
    life.job.accept(None)
    assert life.job.join(None) == 0
    assert life.listener.take() == [("resumed",)]


async def test_a_token_of_another_run_or_of_a_dropped_event_resumes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    life = Life(monkeypatch, window_seconds=60.0)
    life.job.accept(None)
    token = ResumeToken.decode(await life.break_off())
    life.listener.take()
    with pytest.raises(JobNotFound):
        life.job.join(replace(token, run=replace(token.run, run_id=b"another run 0123")))
    with pytest.raises(EventsDropped):
        life.job.join(replace(token, progress=Progress(2)))
    assert life.listener.take() == []


async def test_a_job_that_no_reader_resumes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    life = Life(monkeypatch, window_seconds=60.0)
    life.job.accept(None)
    life.job.move(0, None)
    await life.break_off()
    life.listener.take()
    life.timers.running[0].fire()
    stop, (name, error), *rest = life.listener.take()
    assert stop == ("stop_requested",)
    assert (name, type(error)) == ("outcome_known", ReaderGone)
    assert rest == [("attached",), ("ended",), ("stop_requested",), ("released",)]
    with pytest.raises(EventsDropped):
        life.job.join(None)
    await life.thread.run_next()
    assert life.engine.runs[0][1].is_set
    assert life.listener.names[-2:] == ["work_ended", "place_left"]
    assert life.timers.running == []


async def test_a_refused_job_ends_its_readers_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    life, error = Life(monkeypatch), ServerDraining()
    life.job.accept(None)
    life.job.move(1, None)
    reading = asyncio.create_task(life.read())
    await asyncio.sleep(0)
    life.job.refuse(error)
    assert life.listener.take() == [("place_left",)]
    with pytest.raises(ServerDraining) as raised:
        await reading
    assert raised.value is error
    assert life.listener.take() == [("outcome_known", error), ("ended",), ("place_left",), ("released",)]


async def test_a_job_that_is_given_up_ends_for_its_readers_too(monkeypatch: pytest.MonkeyPatch) -> None:
    life, error = Life(monkeypatch, window_seconds=60.0), Cancelled("by request")
    life.job.accept(None)
    life.job.move(0, None)
    reading = asyncio.create_task(life.read())
    await asyncio.sleep(0)
    life.listener.take()
    life.job.give_up(error)
    assert life.listener.take() == [("stop_requested",), ("ended",), ("stop_requested",)]
    with pytest.raises(Cancelled, match="by request"):
        await reading
    assert life.listener.take() == [("outcome_known", error), ("ended",), ("stop_requested",), ("released",)]


async def test_a_draining_server_ends_a_job_without_a_reader_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    life, error = Life(monkeypatch, window_seconds=60.0), ServerDraining()
    life.job.accept(None)
    life.job.move(0, None)
    await life.break_off()
    life.listener.take()
    life.job.close(error)
    assert ("outcome_known", error) in life.listener.calls
    assert life.listener.names[-3:] == ["ended", "stop_requested", "released"]


async def test_a_draining_server_lets_a_job_go_on_for_its_reader_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    life = Life(monkeypatch, window_seconds=60.0)
    life.job.accept(None)
    life.job.move(0, None)
    reading = asyncio.create_task(life.read_names())
    await asyncio.sleep(0)
    life.listener.take()
    life.job.close(ServerDraining())
    assert life.listener.take() == []
    await life.thread.run_next()
    assert await reading == ["accepted", "match", "encode_text", "completed"]
    assert ("outcome_known", None) in life.listener.calls
    assert ("ended",) in life.listener.calls  # no window: the job could be resumed before
    assert life.timers.all == []


async def test_a_job_whose_reader_is_too_slow_stops_at_the_byte_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    life = Life(monkeypatch, (MATCH, TEXT, DENOISE, DONE), max_buffered_bytes=20)
    life.job.accept(None)
    life.job.move(0, None)
    messages = life.job.messages(0)
    await life.thread.run_next()
    assert life.listener.names == [
        "work_started",
        "engine_event",
        "engine_event",
        "stop_requested",  # accepted, match and encode_text are more than 20 bytes
        "engine_event",
        "engine_event",
        "work_ended",
        "place_left",
    ]
    assert life.engine.runs[0][1].is_set
    with pytest.raises(BufferFull, match="more than 20 bytes"):
        await anext(messages)


async def test_a_picture_that_cannot_be_encoded_fails_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    life = Life(monkeypatch, (MATCH, TEXT), pictures={MATCH: 50})
    life.job.accept(None)
    life.job.move(0, None)
    reading = asyncio.create_task(life.read())
    await asyncio.sleep(0)
    life.encoder.error = ValueError("no PNG")
    life.job.on_event(MATCH)
    await life.executor.run()
    with pytest.raises(ValueError, match="no PNG"):
        await reading
    assert ("outcome_known", life.encoder.error) in life.listener.calls
    assert "stop_requested" in life.listener.names


async def test_listeners_may_be_added_until_the_job_has_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    life, second = Life(monkeypatch), RecordingListener()
    life.listeners.append(second)
    life.job.accept(None)
    life.job.move(0, None)
    assert second.names == life.listener.names == ["work_started"]
