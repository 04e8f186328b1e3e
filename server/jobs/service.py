"""Finds or admits the job of a Generate call, in five steps: resume, join, reserve, prepare, enqueue.

A job that began on another server of the fleet, which is gone, is admitted again here, and its stream goes on with the
event after the resume token (docs/adr/0034).
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from engine.api.errors import Cancelled, EngineError, InvalidJob, NotCompiled
from server.errors.refusals import InvalidRequest, JobNotFound, ReplicaDiffers, refusal_of
from server.jobs.attempt_rules import plan_attempts
from server.jobs.attempts import AttemptsEnd
from server.jobs.job import GenerateJob
from server.jobs.listener import JobListener
from server.jobs.resume_token import Run, new_run_id
from server.jobs.spec import JobKey, JobSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.api.engine import Engine
    from engine.api.job import PreparedJob
    from server.jobs.attempt_plan import AttemptPlan
    from server.jobs.deadline import Deadline
    from server.jobs.estimates import Estimates
    from server.jobs.messages import StreamEncoder
    from server.jobs.queue import JobQueue
    from server.jobs.registry import JobRegistry
    from server.jobs.replica import Replica
    from server.jobs.request import JobRequest
    from server.jobs.resume_token import ResumeToken
    from server.jobs.workers import JobWorkers
    from server.security.caller import Caller
    from server.security.quotas import Quotas


class JobReading(NamedTuple):
    """A job, and the number of the event that its new reader begins with."""

    job: GenerateJob
    first_number: int


@dataclass(frozen=True, slots=True)
class JobService:
    """Finds and admits jobs. Runs in the event loop."""

    workers: JobWorkers
    queue: JobQueue
    registry: JobRegistry
    estimates: Estimates
    quotas: Quotas
    replica: Replica

    async def find_or_admit(
        self,
        request: JobRequest,
        caller: Caller,
        deadline: Deadline,
        *,
        arrived_at: float,
        encoder: StreamEncoder,
        make_listeners: Callable[[], Sequence[JobListener]],
    ) -> JobReading:
        """The job of a call. ``make_listeners`` is called when the job is about to get its place in the queue."""
        key = JobKey(caller.name, request.request_id)
        if request.resumes:
            if (reading := self._resume(key, request)) is not None:
                return reading
            request = _with_seed_of_token(request)
        digest = await self._digest(request)
        if (reading := self._find(key, request, digest)) is not None:
            return reading
        hold = self._reserve(caller)
        with ExitStack() as unless_enqueued:
            unless_enqueued.push(hold)
            prepared, attempts = await self._prepare(request, deadline, encoder)
            if (reading := self._find(key, request, digest)) is not None:
                return reading  # an equal request was prepared at the same time
            estimate = self.estimates.of(prepared)
            deadline.check_estimate(estimate, self.queue.wait_seconds(caller.name))
            token = request.resume_token
            spec = JobSpec(
                key,
                prepared,
                estimate,
                request.resume_window_seconds,
                digest,
                arrived_at,
                attempts,
                self._run(request, prepared),
                token.progress if token is not None else None,
            )
            job = self._enqueue(spec, encoder, [*make_listeners(), _QuotaListener(hold)], caller)
            unless_enqueued.pop_all()
        return JobReading(job, token.progress.next_number if token is not None else 0)

    def cancel(self, caller: Caller, request_id: str) -> None:
        """Ends a job of the caller. Raises ``JobNotFound``."""
        self.registry.find(JobKey(caller.name, request_id)).give_up(Cancelled("the caller cancelled the job"))

    def refuse_new(self, refusal: Callable[[], Exception] | None) -> None:
        """Refuses new jobs with what ``refusal`` returns, until None is passed."""
        self.queue.refuse_new(refusal)

    def drain(self) -> None:
        """Refuses new and waiting jobs, and ends those without a reader; the running job goes on for its readers."""
        self.queue.close()
        self.registry.close()

    def stop(self) -> None:
        """Ends every job."""
        self.queue.close()
        self.queue.refuse_running()
        self.registry.close()

    def _find(self, key: JobKey, request: JobRequest, digest: bytes) -> JobReading | None:
        """The job that the request resumes or joins, if this server holds it."""
        return self._resume(key, request) if request.resumes else self._join(key, request, digest)

    def _resume(self, key: JobKey, request: JobRequest) -> JobReading | None:
        """None: the job began on an equal server, and the request is whole, so that the job can be done again here.

        Raises ``InvalidRequest``, ``JobNotFound``, ``ReplicaDiffers`` or ``EventsDropped``.
        """
        token = request.resume_token
        if request.violations or token is None:
            raise InvalidRequest(*request.violations)
        try:
            job = self.registry.find(key)
        except JobNotFound:
            self._check_repeat(token, request)
            return None
        return JobReading(job, job.join(token))

    def _check_repeat(self, token: ResumeToken, request: JobRequest) -> None:
        """Raises ``JobNotFound`` or ``ReplicaDiffers`` unless the job can be done again here."""
        began_on = token.run.replica
        if began_on.instance == self.replica.instance:
            raise JobNotFound
        if began_on.fingerprint != self.replica.fingerprint:
            raise ReplicaDiffers
        if not request.is_whole:
            raise JobNotFound(can_repeat=True)

    def _run(self, request: JobRequest, prepared: PreparedJob) -> Run | None:
        """The run of a new job, or of one that is done again; None: the stream cannot be resumed."""
        if not request.resume_window_seconds:
            return None
        token = request.resume_token
        run_id = token.run.run_id if token is not None else new_run_id()
        return Run(run_id, _seed_of(request, prepared), self.replica)

    def _join(self, key: JobKey, request: JobRequest, digest: bytes) -> JobReading | None:
        """A resumable request that is sent again joins its job. Raises ``RequestIdReused`` or ``EventsDropped``."""
        job = self.registry.find_same(key, digest) if request.resume_window_seconds else None
        return None if job is None else JobReading(job, job.join(None))

    def _reserve(self, caller: Caller) -> ExitStack:
        """Counts the job against the quotas of its caller. Raises ``QuotaExceeded``."""
        reservation = ExitStack()
        reservation.enter_context(self.quotas.job(caller))
        return reservation

    async def _prepare(
        self, request: JobRequest, deadline: Deadline, encoder: StreamEncoder
    ) -> tuple[PreparedJob, AttemptPlan | None]:
        """Raises ``DeadlinePassed``, what the queue would refuse with, or what is wrong with the request."""
        deadline.check()
        self.queue.check()
        prepared = await self.workers.preparers.run(_prepare, self.workers.engine, request, encoder)
        if request.attempts is None:
            return prepared, None
        plan = plan_attempts(
            request.attempts,
            prepared,
            accept_from=self.workers.engine.capabilities().accept_from,
            video=encoder.video,
            max_held_bytes=self.workers.max_buffered_bytes,
        )
        return prepared, plan

    def _refuse_attempt(self, caller: Caller) -> AttemptsEnd | None:
        """A further attempt counts as a request of the caller; a server that drains begins none."""
        if self.queue.is_closed:
            return AttemptsEnd.DRAINING
        return None if self.quotas.take_request(caller) else AttemptsEnd.QUOTA

    def _enqueue(
        self, spec: JobSpec, encoder: StreamEncoder, listeners: list[JobListener], caller: Caller
    ) -> GenerateJob:
        """Raises like ``JobQueue.enter``."""
        job = GenerateJob(spec, self.workers, encoder, listeners, lambda: self._refuse_attempt(caller))
        listeners += [self.estimates.timer(spec.prepared), _QueueListener(self.queue, job)]
        if spec.is_resumable:  # last, since the registry may end the job at once
            listeners.append(self.registry.listener(spec.key))
        job.accept(self.queue.wait_seconds(spec.key.caller_name))
        self.queue.enter(job, spec.key.caller_name, spec.estimate.work_seconds)
        if spec.is_resumable:
            self.registry.add(job)
        return job

    async def _digest(self, request: JobRequest) -> bytes:
        if not request.resume_window_seconds:
            return b""
        return await self.workers.preparers.run(request.digest)


class _QuotaListener(JobListener):
    def __init__(self, hold: ExitStack) -> None:
        self._hold = hold

    def released(self) -> None:
        self._hold.close()


class _QueueListener(JobListener):
    def __init__(self, queue: JobQueue, job: GenerateJob) -> None:
        self._queue = queue
        self._job = job

    def attempt_started(self, number: int) -> None:  # noqa: ARG002
        self._queue.begin_again(self._job)

    def place_left(self) -> None:
        self._queue.leave(self._job)


def _seed_of(request: JobRequest, prepared: PreparedJob) -> int:
    """The job's seed, from which the seeds of segments count that have none of their own.

    The resume token holds it, so that another server makes the same clip again.
    """
    for index, (asked, segment) in enumerate(zip(request.job.segments, prepared.segments, strict=False)):
        if asked.seed is None:
            return segment.settings.seed - index
    return prepared.settings.seed


def _with_seed_of_token(request: JobRequest) -> JobRequest:
    """The request with the seed that the other server drew, if the request has none."""
    sampling, token = request.job.sampling, request.resume_token
    if token is None or sampling.seed is not None:
        return request
    return replace(request, job=replace(request.job, sampling=replace(sampling, seed=token.run.seed)))


def _prepare(engine: Engine, request: JobRequest, encoder: StreamEncoder) -> PreparedJob:
    """Prepares a job. Raises one refusal for the wrong fields that decoding, the engine and the encoder found."""
    try:
        prepared = engine.prepare(request.job)
    except (InvalidJob, NotCompiled) as error:
        raise refusal_of(error, request.paths, request.violations) from error
    except EngineError:
        if not request.violations:
            raise
    else:
        if not request.violations:
            if encoder.video is not None:
                encoder.video.check(prepared.settings)
            return prepared
    raise InvalidRequest(*request.violations)
