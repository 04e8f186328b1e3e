"""Callbacks of a job for metrics, traces, estimates, quotas and the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.api.events import Event
    from server.jobs.attempts import AttemptResult, AttemptsEnd


class JobListener:
    """Receives what happens to one job, in the event loop. Every method does nothing here; override what is needed."""

    def work_started(self, queue_seconds: float) -> None:
        """The engine takes the job, which waited ``queue_seconds`` in the queue."""

    def engine_event(self, event: Event) -> None:
        """The engine reports an event."""

    def attempt_ended(self, result: AttemptResult, end: AttemptsEnd | None) -> None:
        """A clip was judged; ``end`` None: a further attempt follows. Only where the request allows several."""

    def attempt_started(self, number: int) -> None:
        """The engine takes the job again, for its second or a later attempt."""

    def video_encoded(self, frame_count: int, byte_count: int, seconds: float) -> None:
        """A chunk of the video file was encoded, in ``seconds``."""

    def repeated(self) -> None:
        """The engine takes a job that began on another server and is done again here."""

    def retried(self) -> None:
        """The engine was lost under the job, and the next one starts the job from its beginning."""

    def stop_requested(self) -> None:
        """The running job is asked to stop. Called again for each further request."""

    def work_ended(self, ended_at: float) -> None:
        """The engine is free again since ``ended_at``, on the clock of ``time.perf_counter``."""

    def place_left(self) -> None:
        """The job needs its place in the queue no longer. May be called more than once."""

    def resumed(self) -> None:
        """A further reader resumes or joins the stream."""

    def detached(self, *, is_over: bool) -> None:
        """The last reader left, and a reader may resume the stream; ``is_over``: no further event will come."""

    def attached(self) -> None:
        """The job is not detached any more: a reader came, the work ended, or the job ends."""

    def outcome_known(self, error: BaseException | None) -> None:
        """The job ended for its caller: with an error, or completely (None). Called once."""

    def released(self) -> None:
        """The job has no reader and no further event. May be called more than once."""

    def ended(self) -> None:
        """No reader may come any more. May be called more than once."""


class JobListeners:
    """Tells every listener of a job, in order."""

    def __init__(self, listeners: Sequence[JobListener]) -> None:
        self._listeners = listeners

    def tell(self, call: Callable[[JobListener], None]) -> None:
        """``call`` calls one method of a listener."""
        for listener in self._listeners:
            call(listener)
