"""One run of a job: what the observer hears, and which lost engines are tried again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from engine.api.errors import EngineHung, EngineLost, GraphFailed, OutOfMemory
from server.jobs.engine_run import EngineRun
from tests.jobs.scripted import DENOISE, DONE, MATCH, TEXT, Clock, HandDrivenThread, ScriptedEngine, prepared

if TYPE_CHECKING:
    from engine.api.engine import Engine
    from engine.api.events import Event
    from server.runtime.engine_thread import EngineThread

EVENTS = (MATCH, TEXT, DENOISE, DONE)


class RecordingObserver:
    def __init__(self) -> None:
        self.heard: list[Any] = []

    def on_event(self, event: Event) -> None:
        self.heard.append(event)

    def on_retry(self) -> None:
        self.heard.append("retry")

    def on_work_end(self, error: BaseException | None, ended_at: float) -> None:
        self.heard.append(("end", error, ended_at))


async def heard_of(engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch, *, may_retry: bool) -> list[Any]:
    """Runs a job to its end, at second 55."""
    monkeypatch.setattr("server.jobs.engine_run.time", Clock(55.0))
    thread, observer = HandDrivenThread(), RecordingObserver()
    run = EngineRun(cast("Engine", engine), prepared(), may_retry=may_retry)
    run.start(cast("EngineThread", thread), observer)
    assert engine.runs == []  # not before the engine thread is free
    await thread.run_next()
    assert thread.work == []
    return observer.heard


async def test_events_are_reported_in_order_and_then_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = await heard_of(ScriptedEngine(EVENTS), monkeypatch, may_retry=True)
    assert heard == [*EVENTS, ("end", None, 55.0)]


@pytest.mark.parametrize("error", [EngineLost(5.0), OutOfMemory("full")])
async def test_a_job_whose_engine_is_lost_is_done_again_and_repeats_no_event(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = ScriptedEngine((MATCH, TEXT, error), EVENTS)
    heard = await heard_of(engine, monkeypatch, may_retry=True)
    assert heard == [MATCH, TEXT, "retry", DENOISE, DONE, ("end", None, 55.0)]
    (first, flag), (second, same_flag) = engine.runs
    assert first is second
    assert flag is same_flag


async def test_a_job_that_loses_its_engine_twice_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = EngineLost(5.0), EngineLost(6.0)
    engine = ScriptedEngine((MATCH, first), (MATCH, TEXT, second), EVENTS)
    heard = await heard_of(engine, monkeypatch, may_retry=True)
    assert heard == [MATCH, "retry", TEXT, ("end", second, 55.0)]


async def test_a_job_that_loses_its_engine_before_the_first_event_is_done_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard = await heard_of(ScriptedEngine((EngineLost(5.0),), EVENTS), monkeypatch, may_retry=True)
    assert heard == ["retry", *EVENTS, ("end", None, 55.0)]


@pytest.mark.parametrize("error", [EngineHung(30.0, 5.0), GraphFailed("graph"), RuntimeError("bug")])
async def test_a_job_that_hangs_or_fails_would_do_so_again_and_is_not_retried(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = await heard_of(ScriptedEngine((MATCH, error), EVENTS), monkeypatch, may_retry=True)
    assert heard == [MATCH, ("end", error, 55.0)]


async def test_a_job_that_cannot_be_resumed_is_not_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    error = EngineLost(5.0)
    heard = await heard_of(ScriptedEngine((MATCH, error), EVENTS), monkeypatch, may_retry=False)
    assert heard == [MATCH, ("end", error, 55.0)]


async def test_a_cancel_sets_the_flag_of_the_engine() -> None:
    engine, thread = ScriptedEngine(EVENTS), HandDrivenThread()
    job = prepared()
    run = EngineRun(cast("Engine", engine), job, may_retry=True)
    run.start(cast("EngineThread", thread), RecordingObserver())
    states = [run.is_cancelled]
    run.cancel()
    run.cancel()
    assert [*states, run.is_cancelled] == [False, True]
    await thread.run_next()
    ((given, flag),) = engine.runs
    assert given is job
    assert flag.is_set
