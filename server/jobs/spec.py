"""What is fixed when a job is made. Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from engine.api.job import PreparedJob
    from server.jobs.attempt_plan import AttemptPlan
    from server.jobs.estimates import Estimate
    from server.jobs.resume_token import Progress, Run


class JobKey(NamedTuple):
    """A job belongs to its caller: no other caller finds it."""

    caller_name: str
    request_id: str


@dataclass(frozen=True, slots=True)
class JobSpec:
    """One accepted request. ``arrived_at`` is when the request came, on the clock of ``time.perf_counter``.

    ``resume_window_seconds`` 0: the stream cannot be resumed. ``request_digest`` is the SHA-256 of the request, b""
    where the stream cannot be resumed. ``attempts`` None: the clip is made once. ``run`` None: the stream cannot be
    resumed. ``received`` is what the caller has of a job that began on another server; None: the job begins here.
    """

    key: JobKey
    prepared: PreparedJob
    estimate: Estimate
    resume_window_seconds: float
    request_digest: bytes
    arrived_at: float
    attempts: AttemptPlan | None = None
    run: Run | None = None
    received: Progress | None = None

    @property
    def is_resumable(self) -> bool:
        """The job may outlive its readers."""
        return self.resume_window_seconds > 0
