"""One admitted job, from its place in the queue to its last message.

Lives in the event loop, except for ``_drive``, which is all that runs on the engine's thread. The engine never
waits for anything here: it hands each event to the loop and goes on. The place in the queue is given back when the
engine is done with the job, not when the caller is, so that two jobs never meet in the engine.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from engine.api.cancellation import CancelFlag
from engine.api.errors import EngineHung, EngineLost, OutOfMemory
from engine.api.events import Event, JobDone
from engine.api.job import PreparedJob
from server.errors import JobNotFound
from server.jobs.event_log import Journal, Slot
from server.jobs.readers import Attendance
from server.jobs.resume_token import ResumeToken, new_run_id
from server.rpc import codec

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from concurrent.futures import Future
    from contextlib import AbstractContextManager

    from server.jobs.deadline import Deadline
    from server.jobs.estimates import Estimate
    from server.jobs.registry import JobKey
    from server.observability.job_metrics import JobMeter
    from server.rpc.context import Serving


class Generation:
    """Takes its place when it is made: raises ``QueueFull`` or ``ServerDraining`` where there is none.

    ``request_digest`` tells its request from others, where its stream can be taken up again. ``on_over`` is called
    when nobody reads the job and no work is left in it, perhaps more than once.
    """

    def __init__(
        self,
        call: codec.GenerateCall,
        prepared: PreparedJob,
        serving: Serving,
        meter: JobMeter,
        *,
        key: JobKey,
        request_digest: bytes,
        estimate: Estimate,
        on_over: Callable[[], None],
    ) -> None:
        self.caller_name = key.caller_name
        self.work_seconds = estimate.work_seconds
        self.request_digest = request_digest
        self._timer = serving.estimates.timer(prepared)
        self._request_id = call.request_id
        self._frame_encoding = call.frame_encoding
        self._run_id = new_run_id() if call.resume_window_seconds else b""
        self._prepared = prepared
        self._serving = serving
        self._meter = meter
        self._loop = asyncio.get_running_loop()
        self._cancel = CancelFlag()
        self._has_started = False
        self._has_waited = False
        self._attendance = Attendance(
            self,
            key=key,
            window_seconds=call.resume_window_seconds,
            replays=serving.replays,
            meter=meter,
            on_over=on_over,
        )
        self._journal: Journal[codec.Outgoing] = Journal(
            serving.max_buffered_bytes, keeps=bool(self._run_id), seal=self._seal, on_overflow=self.abandon
        )
        wait_seconds = serving.admission.wait_seconds(key.caller_name)
        self._put(codec.accepted_response(call, prepared, estimate, wait_seconds))
        serving.admission.enter(self)
        if self._run_id:
            serving.replays.add(key, self)

    @property
    def is_over(self) -> bool:
        """Whether nothing will be added to its stream."""
        return self._journal.is_finished

    @property
    def is_idle(self) -> bool:
        """Whether nobody reads it."""
        return self._attendance.is_idle

    @property
    def held_bytes(self) -> int:
        """What it holds in memory."""
        return self._journal.held_bytes + self._prepared.picture.nbytes

    def join(self, token: ResumeToken | None) -> int:
        """A further reader; the event that it begins with. Raises ``JobNotFound`` or ``EventsDropped``."""
        if token is not None and token.run_id != self._run_id:
            raise JobNotFound
        number = token.next_number if token is not None else 0
        self._journal.check(number)
        self._meter.joined()
        return number

    def reading(self, deadline: Deadline) -> AbstractContextManager[None]:
        """Around one reader's ``messages``."""
        return self._attendance.reading(deadline)

    def messages(self, number: int = 0) -> AsyncGenerator[codec.Outgoing, None]:
        """Everything for one reader, in order, from this event on; raises what the job failed with."""
        return self._journal.messages(number)

    def move(self, position: int, wait_seconds: float | None) -> None:
        """Tells the reader; at position 0 the work starts, whether or not somebody reads."""
        if position or self._has_waited:
            self._has_waited = True
            self._put(codec.queue_update_response(position, wait_seconds))
        if position == 0:
            self._has_started = True
            self._meter.work_started()
            self._timer.work_started()
            work = self._serving.engine_thread.submit(self._drive)
            work.add_done_callback(self._ended)

    def refuse(self, error: BaseException) -> None:
        """Ends every stream now; the engine stops before its next graph call."""
        self._journal.fail(error)
        self._stop()

    def give_up(self, error: BaseException) -> None:
        """Ends it, and whoever reads it; nobody can take it up again."""
        self._attendance.give_up(error)

    def abandon(self) -> None:
        """Nobody will read what comes. Harmless after the end."""
        self._stop()
        if not self._has_started:
            self._serving.admission.leave(self)

    def _stop(self) -> None:
        self._cancel.set()
        if self._has_started:
            self._meter.stop_requested()

    def _drive(self) -> None:
        """A job that outlives a broken stream outlives a lost engine too: it is done again, and only what is new told.

        The same seed gives the same events on the next engine, so the reader sees a pause and no seam. Once: a job that
        takes its engine with it twice is likely to be the cause. One that hung would hang as long again.
        """
        told_count = self._drive_from(0, is_last_try=not self._run_id)
        if told_count is not None:
            self._loop.call_soon_threadsafe(self._begin_again)
            self._drive_from(told_count, is_last_try=True)

    def _drive_from(self, told_count: int, *, is_last_try: bool) -> int | None:
        """Tells events but for the first ones; how many are told where the engine was lost, None at the job's end."""
        count = 0
        try:
            for event in self._serving.engine.generate(self._prepared, self._cancel):
                count += 1
                if count > told_count:
                    self._loop.call_soon_threadsafe(self._pass_on, event)
        except (EngineLost, OutOfMemory) as error:
            if is_last_try or isinstance(error, EngineHung):
                raise
            return count
        return None

    def _begin_again(self) -> None:
        self._meter.begun_again()
        self._timer.give_up()

    def _pass_on(self, event: Event) -> None:
        self._meter.event(event)
        self._timer.event(event)
        if self._cancel.is_set:
            return  # nobody reads any more
        if isinstance(event, JobDone):
            self._put(
                codec.summary_response(
                    event,
                    self._request_id,
                    self._prepared.settings,
                    self._serving.capabilities,
                    self._meter.queue_seconds,
                )
            )
        elif codec.must_compress(event, self._frame_encoding):
            slot = self._journal.reserve(codec.pixel_bytes(event))
            encoding = self._loop.run_in_executor(
                self._serving.encoders, codec.event_response, event, self._frame_encoding
            )
            encoding.add_done_callback(lambda done: self._deliver(slot, done))
        else:
            self._put(codec.event_response(event, self._frame_encoding))

    def _put(self, message: codec.Outgoing) -> None:
        self._journal.put(message, message.byte_count)

    def _deliver(self, slot: Slot[codec.Outgoing], done: asyncio.Future[codec.Outgoing]) -> None:
        if done.cancelled():
            return
        if error := done.exception():
            self.refuse(error)
        else:
            message = done.result()
            self._journal.fill(slot, message, message.byte_count)

    def _seal(self, message: codec.Outgoing, number: int) -> None:
        """Whoever reads the event, and whenever, gets these bytes."""
        message.response.sequence_number = number
        message.response.elapsed.CopyFrom(codec.encode_duration(time.perf_counter() - self._meter.arrived_at))
        if self._run_id:
            message.response.resume_token = ResumeToken(self._run_id, number + 1).encode()

    def _ended(self, work: Future[None]) -> None:
        """On the engine's thread."""
        self._loop.call_soon_threadsafe(self._end, work, time.perf_counter())

    def _end(self, work: Future[None], ended_at: float) -> None:
        self._meter.work_ended(ended_at)
        self._journal.finish(work.exception())
        self._serving.admission.leave(self)
        self._attendance.work_ended()
