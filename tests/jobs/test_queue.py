"""The queue: turns of callers, positions, estimated waits, refusals. Exact, by a clock that the test moves."""

from __future__ import annotations

from typing import Any

import pytest

from server.errors.refusals import QueueFull, ServerDraining
from server.jobs.queue import JobQueue
from tests.jobs.scripted import Clock


class Waiter:
    """Records positions as ``(position, wait_seconds)``, and the refusal."""

    def __init__(self) -> None:
        self.moves: list[tuple[int, float | None]] = []
        self.refusals: list[BaseException] = []

    def move(self, position: int, wait_seconds: float | None) -> None:
        self.moves.append((position, wait_seconds))

    def refuse(self, error: BaseException) -> None:
        self.refusals.append(error)

    def take(self) -> list[tuple[int, float | None]]:
        moves, self.moves = self.moves, []
        return moves

    @property
    def positions(self) -> list[int]:
        return [position for position, _ in self.take()]


class Line:
    """A queue with its clock, the waiting counts that it reported, and its waiters by name."""

    def __init__(self, capacity: int = 10) -> None:
        self.clock = Clock(1_000.0)
        self.counts: list[int] = []
        self.queue = JobQueue(capacity, self.counts.append, self.clock)
        self.waiters: dict[str, Waiter] = {}

    def enter(self, name: str, work_seconds: float | None = None, caller_name: str = "") -> Waiter:
        waiter = self.waiters[name] = Waiter()
        self.queue.enter(waiter, caller_name, work_seconds)
        return waiter

    def take(self) -> dict[str, list[int]]:
        """The positions that waiters were told since the last ``take``, without the waiters that were told none."""
        taken = {name: waiter.positions for name, waiter in self.waiters.items()}
        return {name: positions for name, positions in taken.items() if positions}


def test_the_first_job_has_the_engine_at_once_and_the_next_ones_wait_behind_it() -> None:
    line = Line()
    for name in "abc":
        line.enter(name)
    assert line.take() == {"a": [0], "b": [1], "c": [2]}
    assert line.counts == [0, 1, 2]


def test_a_job_that_leaves_moves_up_only_the_jobs_behind_it() -> None:
    line = Line()
    for name in "abcd":
        line.enter(name)
    line.take()
    line.queue.leave(line.waiters["b"])
    assert line.take() == {"c": [1], "d": [2]}
    line.queue.leave(line.waiters["a"])
    assert line.take() == {"c": [0], "d": [1]}
    line.queue.leave(line.waiters["d"])
    line.queue.leave(line.waiters["c"])
    assert line.take() == {}
    assert line.counts == [0, 1, 2, 3, 2, 1, 0, 0]


def test_a_job_without_a_place_may_leave_again() -> None:
    line = Line()
    first, second = line.enter("a"), line.enter("b")
    line.queue.leave(first)
    line.take()
    line.queue.leave(first)
    assert line.take() == {}
    assert line.counts == [0, 1, 0]
    line.queue.leave(second)
    line.queue.leave(second)
    assert line.counts == [0, 1, 0, 0]


def test_callers_take_turns() -> None:
    line = Line()
    for name in ("shop 1", "shop 2", "shop 3", "shop 4"):
        line.enter(name, caller_name="shop")
    line.take()
    line.enter("studio 1", caller_name="studio")  # behind the running job and the shop's next one
    assert line.take() == {"studio 1": [1], "shop 2": [2], "shop 3": [3], "shop 4": [4]}
    line.enter("studio 2", caller_name="studio")
    assert line.take() == {"studio 2": [3], "shop 3": [4], "shop 4": [5]}
    line.enter("film 1", caller_name="film")
    assert line.take() == {"film 1": [2], "shop 2": [3], "studio 2": [4], "shop 3": [5], "shop 4": [6]}
    order = []
    while line.queue._line:
        order.append(next(name for name, waiter in line.waiters.items() if waiter is line.queue._line[0].waiter))
        line.queue.leave(line.queue._line[0].waiter)
    assert order == ["shop 1", "studio 1", "film 1", "shop 2", "studio 2", "shop 3", "shop 4"]


def test_a_caller_that_comes_later_starts_in_the_turn_of_the_running_job() -> None:
    line = Line()
    for name in ("shop 1", "shop 2", "shop 3"):
        line.enter(name, caller_name="shop")
    line.queue.leave(line.waiters["shop 1"])  # "shop 2" runs, in the second turn
    line.take()
    line.enter("studio 1", caller_name="studio")
    line.enter("studio 2", caller_name="studio")
    assert line.take() == {"studio 1": [1], "shop 3": [2], "studio 2": [3]}


def test_the_wait_is_the_rest_of_the_running_job_and_the_time_of_those_between() -> None:
    line = Line()
    assert line.queue.wait_seconds("") == 0.0
    assert line.enter("a", 100.0).take() == [(0, 0.0)]
    line.clock.seconds += 30.0
    assert line.queue.wait_seconds("") == 70.0
    assert line.enter("b", 7.0).take() == [(1, 70.0)]
    line.clock.seconds += 30.0
    assert line.enter("c", 5.0).take() == [(2, 47.0)]
    assert line.queue.wait_seconds("") == 52.0
    line.clock.seconds += 1_000.0
    assert line.queue.wait_seconds("") == 12.0  # the running job is late


def test_the_time_of_a_job_counts_from_when_the_engine_took_it() -> None:
    line = Line()
    first, second, third = line.enter("a", 100.0), line.enter("b", 50.0), line.enter("c", 1.0)
    line.clock.seconds += 90.0
    line.queue.leave(first)
    assert second.take()[-1] == (0, 0.0)
    assert third.take()[-1] == (1, 50.0)
    line.clock.seconds += 20.0
    assert line.queue.wait_seconds("") == 31.0
    line.enter("d", 1.0)  # a job that waits does not start the time of the running one again
    assert line.queue.wait_seconds("") == 32.0


def test_a_further_attempt_of_the_running_job_is_waited_for() -> None:
    line = Line()
    first, second, third = line.enter("a", 100.0), line.enter("b", 50.0), line.enter("c", 1.0)
    for waiter in (first, second, third):
        waiter.take()
    line.clock.seconds += 90.0
    line.queue.begin_again(first)
    assert first.take() == []
    assert second.take() == [(1, 100.0)]
    assert third.take() == [(2, 150.0)]
    line.clock.seconds += 30.0
    assert line.queue.wait_seconds("") == 70.0 + 50.0 + 1.0
    line.queue.begin_again(second)  # does not run
    assert line.take() == {}


def test_there_is_no_estimate_behind_a_job_without_one() -> None:
    line = Line()
    line.enter("a", 10.0)
    assert line.enter("b", None).take() == [(1, 10.0)]
    assert line.enter("c", 5.0).take() == [(2, None)]
    assert line.queue.wait_seconds("") is None


def test_the_wait_of_a_new_caller_is_that_of_its_turn() -> None:
    line = Line()
    line.enter("shop 1", 10.0, "shop")
    line.enter("shop 2", 20.0, "shop")
    assert line.queue.wait_seconds("shop") == 30.0
    assert line.queue.wait_seconds("studio") == 10.0


def test_a_full_queue_refuses_until_a_place_is_free() -> None:
    line = Line(capacity=1)
    first = line.enter("a", 40.0)
    line.queue.check()
    line.enter("b", 5.0)
    line.clock.seconds += 10.0
    for refused in (line.queue.check, lambda: line.enter("c")):
        with pytest.raises(QueueFull) as raised:
            refused()
        assert (raised.value.capacity, raised.value.retry_seconds) == (1, 30.0)  # when the running job is likely to end
    assert line.counts == [0, 1]
    line.queue.leave(first)
    line.queue.check()
    line.enter("d")


def test_a_queue_without_places_takes_one_job() -> None:
    line = Line(capacity=0)
    line.enter("a")
    with pytest.raises(QueueFull) as raised:
        line.queue.check()
    assert (raised.value.capacity, raised.value.retry_seconds) == (0, 5.0)  # no estimate


def test_new_jobs_are_refused_while_the_engine_is_not_ready() -> None:
    line = Line()
    first, second = line.enter("a"), line.enter("b")
    errors: list[Exception] = [ValueError("first"), ValueError("second")]
    line.queue.refuse_new(lambda: errors.pop(0))
    with pytest.raises(ValueError, match="first"):
        line.queue.check()
    with pytest.raises(ValueError, match="second"):
        line.enter("c")
    line.take()
    line.queue.leave(first)
    assert second.positions == [0]  # waiting jobs keep their places
    line.queue.refuse_new(None)
    line.queue.check()


def test_a_closed_queue_refuses_waiting_and_new_jobs_and_lets_the_running_one_go_on() -> None:
    line = Line()
    first, second, third = (line.enter(name) for name in "abc")
    line.take()
    line.queue.close()
    assert [len(waiter.refusals) for waiter in (first, second, third)] == [0, 1, 1]
    assert {type(error) for error in second.refusals + third.refusals} == {ServerDraining}
    assert line.counts == [0, 1, 2, 0]
    assert line.take() == {}
    with pytest.raises(ServerDraining):
        line.queue.check()
    with pytest.raises(ServerDraining):
        line.enter("d")
    line.queue.leave(first)
    assert line.take() == {}


def test_closing_comes_before_every_other_refusal() -> None:
    line = Line(capacity=0)
    line.enter("a")
    line.queue.refuse_new(lambda: ValueError("not ready"))
    with pytest.raises(ValueError, match="not ready"):
        line.queue.check()
    line.queue.close()
    with pytest.raises(ServerDraining):
        line.queue.check()


def test_a_server_that_stops_refuses_the_running_job_too() -> None:
    line = Line()
    first = line.enter("a")
    line.queue.close()
    line.queue.refuse_running()
    assert [type(error) for error in first.refusals] == [ServerDraining]


def test_a_job_that_leaves_while_the_queue_closes_is_no_fault() -> None:
    line = Line()

    class Leaves(Waiter):
        def refuse(self, error: BaseException) -> None:
            super().refuse(error)
            line.queue.leave(self)

    waiters: list[Any] = [Leaves() for _ in range(3)]
    for waiter in waiters:
        line.queue.enter(waiter, "", None)
    line.queue.close()
    assert [len(waiter.refusals) for waiter in waiters] == [0, 1, 1]
    line.queue.refuse_running()
    assert [len(waiter.refusals) for waiter in waiters] == [1, 1, 1]
    assert line.queue._line == []
