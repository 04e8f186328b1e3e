"""The state machine of a Generate job. Decides states; performs nothing.

::

    QUEUED ──► RUNNING ──► DONE ──► ENDED      every state may go to ENDED
       ▲          ▲          ▲
       └──────────┴──────────┴──► DETACHED     the last reader left, and a reader may resume the stream

The work of a job and its readers are independent of each other: the engine may still work for a job that nobody
reads, and a reader may still read a job whose work is over. The facts in ``JobLife`` hold both; the state says what
follows from them.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class JobState(enum.Enum):
    """States of a job."""

    QUEUED = "queued"  # waits for the engine, and has a reader
    RUNNING = "running"  # has the engine, and has a reader
    DONE = "done"  # its event log takes no further event, and it has a reader
    DETACHED = "detached"  # has no reader, and a reader may resume its stream
    ENDED = "ended"  # no reader may come any more


class StreamEnd(enum.Enum):
    """How the stream of one reader ended."""

    COMPLETE = "complete"  # the reader took every event
    BROKEN = "broken"  # the connection broke or the caller cancelled the call: gRPC does not tell them apart
    FAILED = "failed"  # the stream ended with an error


@dataclass(slots=True)
class JobLife:
    """State and facts of one job. A new job is queued and is about to get its first reader.

    * ``may_detach``: the job outlives its last reader (the request set ``stream.resume_window``, and the server does
      not drain);
    * ``is_started``: the engine took the job; ``is_over``: the event log takes no further event;
    * ``is_outcome_known``: listeners were told how the job ended.
    """

    may_detach: bool
    state: JobState = JobState.QUEUED
    reader_count: int = 0
    is_started: bool = False
    is_over: bool = False
    is_outcome_known: bool = False

    @property
    def is_unread(self) -> bool:
        """No reader reads the job now."""
        return self.reader_count == 0

    @property
    def is_released(self) -> bool:
        """No reader reads the job, and it will not use the engine: it no longer counts against quotas."""
        return self.is_unread and (self.is_over or self.state is JobState.ENDED)

    def start(self) -> None:
        """The engine takes the job."""
        self.is_started = True
        self._settle()

    def finish(self) -> None:
        """The event log takes no further event."""
        self.is_over = True
        self._settle()

    def attach(self) -> None:
        """A reader comes."""
        self.reader_count += 1
        if self.state is JobState.DETACHED:
            self.state = self._read_state()

    def leave(self, end: StreamEnd) -> None:
        """A reader leaves. The last one leaves the job detached, or ends it."""
        self.reader_count -= 1
        if self.reader_count or self.state is JobState.ENDED:
            return
        may_return = end is StreamEnd.BROKEN or self.is_over
        self.state = JobState.DETACHED if self.may_detach and may_return else JobState.ENDED

    def end(self) -> None:
        """The job ends for every reader, present and future."""
        self.state = JobState.ENDED

    def _settle(self) -> None:
        if self.state not in {JobState.DETACHED, JobState.ENDED}:
            self.state = self._read_state()

    def _read_state(self) -> JobState:
        if self.is_over:
            return JobState.DONE
        return JobState.RUNNING if self.is_started else JobState.QUEUED
