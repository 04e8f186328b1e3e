"""Listeners of a job: told in order, and free to ignore everything."""

from __future__ import annotations

from server.jobs.listener import JobListener, JobListeners
from tests.jobs.scripted import DONE


def test_every_listener_is_told_in_order() -> None:
    order: list[tuple[str, float]] = []

    class Named(JobListener):
        def __init__(self, name: str) -> None:
            self.name = name

        def work_started(self, queue_seconds: float) -> None:
            order.append((self.name, queue_seconds))

    JobListeners([Named("first"), Named("second")]).tell(lambda listener: listener.work_started(2.5))
    assert order == [("first", 2.5), ("second", 2.5)]


def test_a_listener_that_is_added_later_is_told_too() -> None:
    listeners: list[JobListener] = []
    told: list[JobListener] = []
    everyone = JobListeners(listeners)
    listeners.append(JobListener())
    everyone.tell(told.append)
    assert told == listeners


def test_a_listener_may_ignore_everything() -> None:
    listener = JobListener()
    listener.work_started(1.0)
    listener.engine_event(DONE)
    listener.retried()
    listener.stop_requested()
    listener.work_ended(1.0)
    listener.place_left()
    listener.resumed()
    listener.detached(is_over=True)
    listener.attached()
    listener.outcome_known(None)
    listener.released()
    listener.ended()
