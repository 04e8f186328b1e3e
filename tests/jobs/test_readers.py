"""The readers of a job: what becomes of the job when the last one leaves, and what listeners are told, in order."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from engine.api.errors import Cancelled
from server.errors.refusals import DeadlinePassed, ReaderGone
from server.jobs.deadline import Deadline
from server.jobs.listener import JobListeners
from server.jobs.readers import JobReaders
from server.jobs.state import JobLife, JobState
from tests.jobs.scripted import Clock, RecordingListener, Timers

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

WINDOW_SECONDS = 60.0


class Attended:
    """The readers of one job, with the listener calls and the calls of the job in one list."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, may_detach: bool = True) -> None:
        self.timers = Timers(monkeypatch)
        self.life = JobLife(may_detach=may_detach)
        self.listener = RecordingListener()
        self.readers = JobReaders(
            self.life,
            JobListeners([self.listener]),
            WINDOW_SECONDS,
            on_unread=lambda: self.listener.calls.append(("on_unread",)),
            on_window_over=lambda: self.listener.calls.append(("on_window_over",)),
        )

    def reading(self, remaining_seconds: float | None = None) -> AbstractContextManager[None]:
        return self.readers.reading(Deadline(lambda: remaining_seconds))

    def read(self, error: BaseException | None = None, remaining_seconds: float | None = None) -> None:
        """One reader, whose reading ends with this error."""
        if error is None:
            with self.reading(remaining_seconds):
                pass
        else:
            with pytest.raises(type(error)), self.reading(remaining_seconds):
                raise error


async def test_a_complete_reading_ends_a_job_that_cannot_be_resumed(monkeypatch: pytest.MonkeyPatch) -> None:
    job = Attended(monkeypatch, may_detach=False)
    with job.reading():
        assert job.life.reader_count == 1
        job.life.start()
        job.life.finish()
        assert job.listener.take() == []
    assert job.life.state is JobState.ENDED
    assert job.listener.take() == [("outcome_known", None), ("ended",), ("on_unread",), ("released",)]
    assert job.timers.all == []


async def test_a_failed_reading_ends_the_job_and_its_error_is_the_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    job, error = Attended(monkeypatch), ValueError("slow")
    job.read(error)
    assert job.life.state is JobState.ENDED
    assert job.listener.take() == [("outcome_known", error), ("ended",), ("on_unread",), ("released",)]


@pytest.mark.parametrize("error", [asyncio.CancelledError(), GeneratorExit()])
async def test_a_broken_stream_ends_a_job_that_cannot_be_resumed(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Attended(monkeypatch, may_detach=False)
    job.read(error)
    (name, cause), *rest = job.listener.take()
    assert name == "outcome_known"
    assert isinstance(cause, Cancelled)
    assert rest == [("ended",), ("on_unread",), ("released",)]


async def test_a_deadline_ends_the_job_even_if_it_could_be_resumed(monkeypatch: pytest.MonkeyPatch) -> None:
    job = Attended(monkeypatch)
    job.read(asyncio.CancelledError(), remaining_seconds=0.0)
    (name, cause), *rest = job.listener.take()
    assert name == "outcome_known"
    assert isinstance(cause, DeadlinePassed)
    assert rest == [("ended",), ("on_unread",), ("released",)]


@pytest.mark.parametrize(("remaining_seconds", "window_seconds"), [(None, 60.0), (1_000.0, 60.0), (7.0, 7.0)])
async def test_a_broken_stream_opens_the_window_of_a_resumable_job_up_to_the_deadline(
    remaining_seconds: float | None, window_seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Attended(monkeypatch)
    job.read(asyncio.CancelledError(), remaining_seconds)
    assert job.life.state is JobState.DETACHED
    assert job.listener.take() == [("detached", False)]  # nothing is known yet, and the job still counts
    assert [timer.seconds for timer in job.timers.running] == [window_seconds]
    job.timers.running[0].fire()
    assert job.listener.take() == [("on_window_over",)]


async def test_a_reader_that_comes_back_closes_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    job = Attended(monkeypatch)
    job.read(asyncio.CancelledError())
    job.listener.take()
    with job.reading():
        assert job.listener.take() == [("attached",)]
        assert job.timers.running == []
        with job.reading():
            assert job.listener.take() == []
    job.read()


async def test_a_stream_that_breaks_after_the_last_event_leaves_a_job_that_no_longer_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = Attended(monkeypatch)
    with suppress(GeneratorExit), job.reading():
        job.life.finish()
        raise GeneratorExit
    assert job.listener.take() == [("detached", True), ("released",)]


async def test_a_job_that_was_read_completely_may_be_read_again_within_its_window(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = Attended(monkeypatch)
    with job.reading():
        job.life.finish()
    assert job.listener.take() == [("outcome_known", None), ("detached", True), ("released",)]
    job.read()
    assert job.listener.take() == [("attached",), ("detached", True), ("released",)]  # the outcome is told once
    assert [timer.seconds for timer in job.timers.running] == [WINDOW_SECONDS]


async def test_the_first_complete_reader_decides_the_outcome_while_others_read_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = Attended(monkeypatch)
    with job.reading():
        job.life.finish()
        job.read(ValueError("slow"))
        job.read(asyncio.CancelledError())
        assert job.listener.take() == []
        job.read()
        assert job.listener.take() == [("outcome_known", None)]
        assert job.life.state is JobState.DONE
    assert job.listener.take() == [("detached", True), ("released",)]


async def test_a_failed_reading_after_the_last_event_is_the_outcome_and_may_be_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job, error = Attended(monkeypatch), ValueError("slow")
    with suppress(ValueError), job.reading():
        job.life.finish()
        raise error
    assert job.listener.take() == [("outcome_known", error), ("detached", True), ("released",)]


async def test_the_window_of_a_job_without_a_reader_starts_again_when_its_work_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = Attended(monkeypatch)
    job.read(asyncio.CancelledError(), remaining_seconds=7.0)
    job.listener.take()
    job.life.finish()
    job.readers.work_ended()
    assert job.listener.take() == [("attached",), ("detached", True), ("released",)]
    assert [(timer.seconds, timer.is_cancelled) for timer in job.timers.all] == [(7.0, True), (60.0, False)]


async def test_the_end_of_the_work_opens_no_window_where_a_reader_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    job = Attended(monkeypatch)
    with job.reading():
        job.life.finish()
        job.readers.work_ended()
        assert job.timers.all == []
        assert job.listener.take() == []


async def test_the_end_of_a_detached_job_closes_its_window(monkeypatch: pytest.MonkeyPatch) -> None:
    job, error = Attended(monkeypatch), ReaderGone()
    job.read(asyncio.CancelledError())
    job.listener.take()
    job.readers.end(error)
    assert job.listener.take() == [("outcome_known", error), ("attached",), ("ended",), ("on_unread",), ("released",)]
    assert job.life.state is JobState.ENDED
    assert job.timers.running == []
    job.readers.end(ValueError("told already"))
    assert ("outcome_known", error) not in job.listener.take()


async def test_readers_of_an_ended_job_read_on_and_their_end_is_the_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    job = Attended(monkeypatch)
    with job.reading():
        job.readers.end(ReaderGone())
        assert job.listener.take() == [("ended",), ("on_unread",)]
    assert job.listener.take() == [("outcome_known", None), ("ended",), ("on_unread",), ("released",)]


async def test_a_further_attempt_has_the_time_of_the_last_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    job = Attended(monkeypatch)
    assert job.readers.remaining_seconds == 0.0
    with job.reading(7.0):
        assert job.readers.remaining_seconds == 7.0
        with job.reading(9.0):
            assert job.readers.remaining_seconds == 9.0
            with job.reading(None):
                assert [job.readers.remaining_seconds] == [None]
        assert job.readers.remaining_seconds == 7.0


async def test_a_further_attempt_of_an_unread_job_has_the_rest_of_its_window(monkeypatch: pytest.MonkeyPatch) -> None:
    job = Attended(monkeypatch)
    job.read(asyncio.CancelledError())
    clock = Clock(asyncio.get_running_loop().time() + 40.0)
    monkeypatch.setattr(asyncio.get_running_loop(), "time", clock)
    assert job.readers.remaining_seconds == pytest.approx(20.0, abs=1.0)
    clock.seconds += 60.0
    assert job.readers.remaining_seconds == 0.0
    monkeypatch.undo()
