"""The registry: finding, keeping within a byte limit, forgetting, closing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from server.errors.refusals import JobNotFound, ReaderGone, RequestIdReused, ServerDraining
from server.jobs.registry import JobRegistry
from server.jobs.spec import JobKey

if TYPE_CHECKING:
    from server.jobs.job import GenerateJob
    from server.jobs.listener import JobListener


class StubJob:
    """A job that records how it was ended, and tells the registry, as a job does."""

    def __init__(self, registry: JobRegistry, request_id: str, held_bytes: int = 10, caller_name: str = "shop") -> None:
        self.spec = SimpleNamespace(key=JobKey(caller_name, request_id), request_digest=f"digest {request_id}".encode())
        self.held_bytes = held_bytes
        self.errors: list[BaseException] = []
        self.closed_by: list[BaseException] = []
        self._registry = registry
        registry.add(cast("GenerateJob", self))

    @property
    def key(self) -> JobKey:
        return cast("JobKey", self.spec.key)

    @property
    def listener(self) -> JobListener:
        return self._registry.listener(self.key)

    def give_up(self, error: BaseException) -> None:
        self.errors.append(error)
        self.listener.attached()
        self.listener.ended()

    def close(self, error: BaseException) -> None:
        self.closed_by.append(error)


class Kept:
    """A registry, and the sums of kept bytes that it reported."""

    def __init__(self, max_bytes: int = 30) -> None:
        self.sums: list[int] = []
        self.registry = JobRegistry(max_bytes, self.sums.append)

    def job(self, request_id: str, held_bytes: int = 10, **key: str) -> StubJob:
        return StubJob(self.registry, request_id, held_bytes, **key)

    def knows(self, job: StubJob) -> bool:
        try:
            return cast("Any", self.registry.find(job.key)) is job
        except JobNotFound:
            return False


def test_a_job_is_found_by_its_caller_and_request_id_only() -> None:
    kept = Kept()
    job = kept.job("1")
    assert kept.knows(job)
    for key in (JobKey("shop", "2"), JobKey("studio", "1")):
        with pytest.raises(JobNotFound):
            kept.registry.find(key)
    assert kept.sums == []


def test_an_equal_request_finds_the_job_and_another_request_is_refused() -> None:
    kept = Kept()
    job = kept.job("1")
    assert cast("Any", kept.registry.find_same(job.key, b"digest 1")) is job
    with pytest.raises(RequestIdReused):
        kept.registry.find_same(job.key, b"digest 2")
    assert kept.registry.find_same(JobKey("shop", "2"), b"digest 2") is None
    assert kept.registry.find_same(JobKey("studio", "1"), b"digest 1") is None


def test_only_a_detached_job_that_is_over_is_kept() -> None:
    kept = Kept()
    job = kept.job("1", 7)
    job.listener.detached(is_over=False)
    assert kept.sums == []
    job.listener.detached(is_over=True)
    assert kept.sums == [7]
    job.listener.attached()
    assert kept.sums == [7, 0]
    assert kept.knows(job)
    job.listener.ended()
    assert kept.sums == [7, 0, 0]
    assert not kept.knows(job)


def test_the_jobs_kept_longest_are_ended_while_the_sum_exceeds_the_limit() -> None:
    kept = Kept(max_bytes=30)
    first, second, third = (kept.job(name) for name in "123")
    for job in (second, first, third):
        job.listener.detached(is_over=True)
    assert kept.sums == [10, 20, 30]
    assert all(kept.knows(job) for job in (first, second, third))
    fourth = kept.job("4", 15)
    fourth.listener.detached(is_over=True)
    assert kept.sums[-1] == 25
    assert [kept.knows(job) for job in (first, second, third, fourth)] == [False, False, True, True]
    assert [type(error) for error in first.errors + second.errors] == [ReaderGone, ReaderGone]
    assert third.errors == fourth.errors == []


def test_a_job_larger_than_the_limit_ends_itself() -> None:
    kept = Kept(max_bytes=30)
    job = kept.job("1", 31)
    job.listener.detached(is_over=True)
    assert [type(error) for error in job.errors] == [ReaderGone]
    assert not kept.knows(job)
    assert kept.sums[-1] == 0


def test_a_job_that_was_read_again_counts_as_kept_from_then_on() -> None:
    kept = Kept(max_bytes=20)
    first, second, third = (kept.job(name) for name in "123")
    first.listener.detached(is_over=True)
    second.listener.detached(is_over=True)
    first.listener.attached()
    first.listener.detached(is_over=True)
    third.listener.detached(is_over=True)
    assert [kept.knows(job) for job in (first, second, third)] == [True, False, True]


def test_forgetting_a_job_that_is_not_listed_is_no_fault() -> None:
    kept = Kept()
    job = kept.job("1")
    kept.registry.forget(JobKey("shop", "2"))
    assert kept.knows(job)
    kept.registry.forget(job.key)
    kept.registry.forget(job.key)
    assert not kept.knows(job)
    assert kept.sums == [0, 0, 0]


def test_a_kept_job_that_is_forgotten_holds_nothing_any_more() -> None:
    kept = Kept()
    job = kept.job("1")
    job.listener.detached(is_over=True)
    kept.registry.forget(job.key)
    assert kept.sums == [10, 0]


def test_a_draining_server_closes_every_job_even_where_jobs_leave_the_list_meanwhile() -> None:
    kept = Kept()
    jobs = [kept.job(name) for name in "123"]

    def close_and_end(error: BaseException) -> None:
        jobs[0].closed_by.append(error)
        jobs[0].give_up(error)

    jobs[0].close = close_and_end  # type: ignore[method-assign]
    kept.registry.close()
    assert [[type(error) for error in job.closed_by] for job in jobs] == [[ServerDraining]] * 3
    assert [kept.knows(job) for job in jobs] == [False, True, True]
