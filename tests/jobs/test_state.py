"""The state machine of a job: every transition from every state, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from server.jobs.state import JobLife, JobState, StreamEnd

if TYPE_CHECKING:
    from collections.abc import Callable

QUEUED, RUNNING, DONE, DETACHED, ENDED = JobState


def leave_broken(life: JobLife) -> None:
    life.leave(StreamEnd.BROKEN)


PATHS: dict[str, tuple[Callable[[JobLife], None], ...]] = {
    "queued": (JobLife.attach,),
    "running": (JobLife.attach, JobLife.start),
    "done": (JobLife.attach, JobLife.start, JobLife.finish),
    "detached": (JobLife.attach, leave_broken),
    "detached, running": (JobLife.attach, JobLife.start, leave_broken),
    "detached, done": (JobLife.attach, JobLife.finish, leave_broken),
    "ended": (JobLife.attach, JobLife.end),
}
ACTIONS: dict[str, Callable[[JobLife], None]] = {
    "start": JobLife.start,
    "finish": JobLife.finish,
    "attach": JobLife.attach,
    "leave, complete": lambda life: life.leave(StreamEnd.COMPLETE),
    "leave, broken": leave_broken,
    "leave, failed": lambda life: life.leave(StreamEnd.FAILED),
    "end": JobLife.end,
}
# One row a state, one column an action in the order of ACTIONS; a job without a reader has none that could leave.
RESUMABLE = {
    "queued": (RUNNING, DONE, QUEUED, ENDED, DETACHED, ENDED, ENDED),
    "running": (RUNNING, DONE, RUNNING, ENDED, DETACHED, ENDED, ENDED),
    "done": (DONE, DONE, DONE, DETACHED, DETACHED, DETACHED, ENDED),
    "detached": (DETACHED, DETACHED, QUEUED, None, None, None, ENDED),
    "detached, running": (DETACHED, DETACHED, RUNNING, None, None, None, ENDED),
    "detached, done": (DETACHED, DETACHED, DONE, None, None, None, ENDED),
    "ended": (ENDED, ENDED, ENDED, ENDED, ENDED, ENDED, ENDED),
}
NOT_RESUMABLE = {
    "queued": (RUNNING, DONE, QUEUED, ENDED, ENDED, ENDED, ENDED),
    "running": (RUNNING, DONE, RUNNING, ENDED, ENDED, ENDED, ENDED),
    "done": (DONE, DONE, DONE, ENDED, ENDED, ENDED, ENDED),
    "ended": (ENDED, ENDED, ENDED, ENDED, ENDED, ENDED, ENDED),
}


def life_in(name: str, *, may_detach: bool) -> JobLife:
    life = JobLife(may_detach=may_detach)
    for step in PATHS[name]:
        step(life)
    assert life.state.value == name.partition(",")[0]
    return life


@pytest.mark.parametrize("may_detach", [True, False])
def test_every_transition(may_detach: bool) -> None:
    table = RESUMABLE if may_detach else NOT_RESUMABLE
    reached = {}
    for name, row in table.items():
        reached[name] = tuple(
            None if expected is None else _state_after(ACTIONS[action], name, may_detach=may_detach)
            for action, expected in zip(ACTIONS, row, strict=True)
        )
    assert reached == table


def _state_after(action: Callable[[JobLife], None], name: str, *, may_detach: bool) -> JobState:
    life = life_in(name, may_detach=may_detach)
    action(life)
    return life.state


def test_a_new_job_is_queued_and_has_no_reader() -> None:
    life = JobLife(may_detach=True)
    assert life == JobLife(
        may_detach=True,
        state=QUEUED,
        reader_count=0,
        is_started=False,
        is_over=False,
        is_outcome_known=False,
    )
    assert life.is_unread


@pytest.mark.parametrize("end", list(StreamEnd))
def test_only_the_last_reader_changes_the_state(end: StreamEnd) -> None:
    life = life_in("running", may_detach=True)
    life.attach()
    life.attach()
    assert life.reader_count == 3
    life.leave(end)
    life.leave(end)
    assert (life.state, life.reader_count, life.is_unread) == (RUNNING, 1, False)
    life.leave(end)
    assert (life.state, life.reader_count, life.is_unread) == (DETACHED if end is StreamEnd.BROKEN else ENDED, 0, True)


def test_facts_are_kept_where_the_state_does_not_change() -> None:
    life = life_in("detached", may_detach=True)
    life.start()
    assert (life.state, life.is_started, life.is_over) == (DETACHED, True, False)
    life.finish()
    assert (life.state, life.is_started, life.is_over) == (DETACHED, True, True)


def test_a_draining_server_lets_no_job_outlive_its_reader() -> None:
    life = life_in("done", may_detach=True)
    life.may_detach = False
    life.leave(StreamEnd.BROKEN)
    assert life.state is ENDED


@pytest.mark.parametrize(
    ("name", "is_released"),
    [
        ("queued", False),
        ("running", False),
        ("done", False),  # a reader is there
        ("detached", False),  # the job will use the engine
        ("detached, running", False),
        ("detached, done", True),
        ("ended", False),  # its reader reads on
    ],
)
def test_a_job_counts_against_quotas_while_it_has_a_reader_or_will_use_the_engine(name: str, is_released: bool) -> None:
    assert life_in(name, may_detach=True).is_released is is_released


def test_an_ended_job_without_a_reader_is_released_before_its_work_is_over() -> None:
    life = life_in("running", may_detach=False)
    life.leave(StreamEnd.FAILED)
    assert (life.is_over, life.is_released) == (False, True)
