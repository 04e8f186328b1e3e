"""The life of one Generate job, from its place in the queue to its end. Runs in the event loop.

1. ``accept`` puts the first event into the stream; the queue reports positions to ``move``; at 0 the work starts.
2. The engine run reports events through ``on_event``; they go to the listeners and into the stream.
   Where the request allows several attempts, ``attempts`` judges the clip; a further attempt is another engine run,
   for which the job keeps its place in the queue.
3. Readers come and go through ``reading``; ``readers`` tells what becomes of a job without a reader.
4. ``on_work_end`` closes the stream and leaves the place in the queue, so that two jobs never meet in the engine. The
   job ends with its last reader, or when its resume window is over.

Queue, registry, quotas, estimates, metrics and traces are listeners; the job does not know them.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from engine.api.events import JobDone
from server.errors.refusals import JobNotFound, ReaderGone
from server.jobs.attempt_plan import AttemptFrames
from server.jobs.attempts import AttemptsEnd, JobAttempts
from server.jobs.engine_run import EngineRun
from server.jobs.listener import JobListeners
from server.jobs.messages import Accepted, Completed, QueueMoved
from server.jobs.readers import JobReaders
from server.jobs.resume_token import Progress
from server.jobs.state import JobLife
from server.jobs.stream import JobStream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence
    from contextlib import AbstractContextManager

    from engine.api.events import Event
    from server.jobs.deadline import Deadline
    from server.jobs.listener import JobListener
    from server.jobs.messages import Message, StreamEncoder
    from server.jobs.resume_token import ResumeToken
    from server.jobs.spec import JobSpec
    from server.jobs.video import EncodedChunk
    from server.jobs.workers import JobWorkers


class GenerateJob:
    """One job. ``refuse_attempt`` says why no further attempt may begin now, or counts one and returns None."""

    def __init__(
        self,
        spec: JobSpec,
        workers: JobWorkers,
        encoder: StreamEncoder,
        listeners: Sequence[JobListener],
        refuse_attempt: Callable[[], AttemptsEnd | None] = lambda: None,
    ) -> None:
        self.spec = spec
        self._workers = workers
        self._listeners = JobListeners(listeners)
        self._life = JobLife(may_detach=spec.is_resumable)
        self._run = EngineRun(workers.engine, spec.prepared, may_retry=spec.is_resumable)
        plan = spec.attempts
        self._attempts = None if plan is None else JobAttempts(plan, spec.prepared, refuse_attempt)
        self._readers = JobReaders(
            self._life,
            self._listeners,
            spec.resume_window_seconds,
            on_unread=self._stop_work,
            on_window_over=lambda: self.give_up(ReaderGone()),
        )
        self._stream = JobStream(
            encoder,
            workers.compressors,
            spec.prepared.settings,
            max_bytes=workers.max_buffered_bytes,
            run=spec.run,
            received=spec.received or Progress(),
            arrived_at=spec.arrived_at,
            holds_clips=plan is not None and plan.frames is AttemptFrames.ACCEPTED,
            on_overflow=self._stream_failed,
            on_encoding_error=self.refuse,
            on_video=self._video_encoded,
        )
        self._queued_at, self._queue_seconds = time.perf_counter(), 0.0
        self._has_waited = False

    @property
    def held_bytes(self) -> int:
        """Bytes of the stream and the prepared picture in memory."""
        return self._stream.held_bytes + self.spec.prepared.picture.nbytes

    def accept(self, wait_seconds: float | None) -> None:
        """Puts the first event into the stream. ``wait_seconds`` None: no estimate."""
        self._stream.put(Accepted(self.spec, wait_seconds))

    def move(self, position: int, wait_seconds: float | None) -> None:
        """Reports the position in the queue; at position 0 the work starts, with or without a reader."""
        if position or self._has_waited:
            self._has_waited = True
            self._stream.put(QueueMoved(position, wait_seconds))
        if position == 0:
            self._life.start()
            self._queue_seconds = time.perf_counter() - self._queued_at
            self._listeners.tell(lambda listener: listener.work_started(self._queue_seconds))
            if self.spec.received is not None:
                self._listeners.tell(lambda listener: listener.repeated())
            self._run.start(self._workers.engine_thread, self)

    def join(self, token: ResumeToken | None) -> int:
        """Returns the number of a further reader's first event. Raises ``JobNotFound`` or ``EventsDropped``."""
        if token is not None and (self.spec.run is None or token.run.run_id != self.spec.run.run_id):
            raise JobNotFound
        number = token.progress.next_number if token is not None else 0
        self._stream.check(number)
        self._listeners.tell(lambda listener: listener.resumed())
        return number

    def reading(self, deadline: Deadline) -> AbstractContextManager[None]:
        """Wraps the reading of one reader; how the reading ends decides about the job."""
        return self._readers.reading(deadline)

    def messages(self, number: int) -> AsyncGenerator[Message, None]:
        """Yields the messages for one reader from this event on; raises the error that the job ended with."""
        return self._stream.messages(number)

    def on_event(self, event: Event) -> None:
        """See ``RunObserver``."""
        self._listeners.tell(lambda listener: listener.engine_event(event))
        if self._run.is_cancelled:
            return
        if not isinstance(event, JobDone):
            self._stream.put(event, 1 if self._attempts is None else self._attempts.number)
        elif self._attempts is None:
            self._stream.put(Completed(self.spec, event, self._queue_seconds))
        else:
            self._end_attempt(self._attempts, event)

    def on_retry(self) -> None:
        """See ``RunObserver``."""
        self._listeners.tell(lambda listener: listener.retried())

    def on_work_end(self, error: BaseException | None, ended_at: float) -> None:
        """See ``RunObserver``. Begins the next attempt, if one follows."""
        if error is None and self._attempts is not None and self._attempts.end is None and not self._run.is_cancelled:
            self._begin_attempt(self._attempts)
            return
        self._listeners.tell(lambda listener: listener.work_ended(ended_at))
        self._stream.finish(error)
        self._life.finish()
        self._listeners.tell(lambda listener: listener.place_left())
        self._readers.work_ended()

    def refuse(self, error: BaseException) -> None:
        """Ends the streams of all readers now; the engine stops before its next graph call."""
        self._stream.fail(error)
        self._stream_failed()

    def give_up(self, error: BaseException) -> None:
        """Ends the job for its readers, present and future."""
        self.refuse(error)
        self._readers.end(error)

    def close(self, error: BaseException) -> None:
        """The server drains: a job without a reader ends now, any other one with its last reader."""
        self._life.may_detach = False
        if self._life.is_unread:
            self.give_up(error)

    def _begin_attempt(self, attempts: JobAttempts) -> None:
        self._run = EngineRun(self._workers.engine, attempts.prepared, may_retry=self.spec.is_resumable)
        self._listeners.tell(lambda listener: listener.attempt_started(attempts.number))
        self._run.start(self._workers.engine_thread, self)

    def _end_attempt(self, attempts: JobAttempts, done: JobDone) -> None:
        result = attempts.judge(done, self._readers.remaining_seconds)
        end = attempts.end
        self._stream.put(result, result.number)
        self._stream.end_attempt(result.number, attempts.best_number)
        self._listeners.tell(lambda listener: listener.attempt_ended(result, end))
        if end is not None:
            self._stream.release(attempts.best_number)
            completed = Completed(self.spec, attempts.delivered(), self._queue_seconds, attempts.report(end))
            self._stream.put(completed)

    def _video_encoded(self, encoded: EncodedChunk) -> None:
        frame_count, byte_count = encoded.chunk.frame_count, len(encoded.chunk.data)
        self._listeners.tell(lambda listener: listener.video_encoded(frame_count, byte_count, encoded.seconds))

    def _stream_failed(self) -> None:
        self._life.finish()
        self._stop_work()

    def _stop_work(self) -> None:
        self._run.cancel()
        is_started = self._life.is_started
        self._listeners.tell(lambda listener: listener.stop_requested() if is_started else listener.place_left())
