"""One run of a job: what the observer hears, and which lost engines are tried again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from engine.api.chain import SegmentStarted
from engine.api.errors import EngineHung, EngineLost, GraphFailed, OutOfMemory
from engine.api.events import Chain, JobDone, SegmentDone, StageStarted
from server.jobs.engine_run import EngineRun
from tests.jobs.chains import chain_done, prepared_chain, segment_done
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


def chain_script(*numbers: int) -> list[Event]:
    """The events of these segments of a chain of three, each with one stage."""
    events: list[Event] = []
    for number in numbers:
        events += [SegmentStarted(number, 3), MATCH, segment_done(number, has_end=number < 3)]
    return [*events, chain_done(*map(segment_done, (1, 2, 3)))]


def names_of(heard: list[Any]) -> list[str]:
    """``1.`` for the start of segment 1, ``1!`` for its end; no engine event keeps what a segment leaves."""
    names = []
    for item in heard:
        match item:
            case SegmentStarted():
                names.append(f"{item.number}.")
            case SegmentDone():
                assert item.end is None
                names.append(f"{item.number}!")
            case JobDone(chain=Chain(segments=segments)):
                assert [segment.end for segment in segments] == [None] * 3
                names.append("done")
            case StageStarted():
                names.append(item.stage.value)
            case tuple():
                names.append(type(item[1]).__name__)
            case _:
                names.append(item)
    return names


WHOLE = ["1.", "match", "1!", "2.", "match", "2!", "3.", "match", "3!", "done", "NoneType"]


async def test_the_ends_of_segments_stay_with_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = await heard_of(ScriptedEngine(chain_script(1, 2, 3)), monkeypatch, may_retry=False)
    assert names_of(heard) == WHOLE


@pytest.mark.parametrize("reported_count", range(10))
async def test_a_chain_goes_on_with_the_segment_in_which_its_engine_was_lost(
    reported_count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = [*chain_script(1, 2, 3)[:reported_count], EngineLost(5.0)]
    complete_count = reported_count // 3
    engine = ScriptedEngine(first, chain_script(*range(complete_count + 1, 4)))
    heard = await heard_of(engine, monkeypatch, may_retry=True)
    assert names_of(heard) == [*WHOLE[:reported_count], "retry", *WHOLE[reported_count:]]
    begins_after = engine.runs[1][0].begins_after
    assert [segment.number for segment in begins_after] == list(range(1, complete_count + 1))
    frame_counts = [len(segment.end.frames) for segment in begins_after if segment.end is not None]
    assert frame_counts == {0: [], 1: [5], 2: [0, 5], 3: [0, 0]}[complete_count]
    assert all(segment.end.subject is not None for segment in begins_after if segment.end is not None)


async def test_each_segment_may_lose_one_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = EngineLost(5.0)
    engine = ScriptedEngine(
        [*chain_script(1, 2, 3)[:1], lost],
        [*chain_script(1, 2, 3)[:5], lost],
        [*chain_script(2, 3)[:2], lost],
    )
    heard = await heard_of(engine, monkeypatch, may_retry=True)
    assert names_of(heard) == ["1.", "retry", "match", "1!", "2.", "match", "retry", "EngineLost"]
    assert engine.scripts == []


async def test_a_chain_that_cannot_be_retried_keeps_no_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    run = EngineRun(cast("Engine", ScriptedEngine(chain_script(1, 2, 3))), prepared_chain(), may_retry=False)
    thread = HandDrivenThread()
    run.start(cast("EngineThread", thread), RecordingObserver())
    await thread.run_next()
    assert run._complete == []
