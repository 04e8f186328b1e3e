"""One admitted job, from its place in the queue to its last message.

Lives in the event loop, except for ``_drive``, which is all that runs on the engine's thread. The engine never
waits for anything here: it hands each event to the loop and goes on. The place in the queue is given back when the
engine is done with the job, not when the caller is, so that two jobs never meet in the engine.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from engine.cancellation import CancelFlag
from engine.types import Event, JobDone, PreparedJob
from server import codec
from server.outbox import Outbox, Slot

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from concurrent.futures import Future

    from server.estimates import Estimate
    from server.job_meter import JobMeter
    from server.serving import Serving


class Generation:
    """Takes its place when it is made: raises ``QueueFull`` or ``ServerDraining`` where there is none."""

    def __init__(
        self,
        call: codec.GenerateCall,
        prepared: PreparedJob,
        serving: Serving,
        meter: JobMeter,
        *,
        caller_name: str,
        estimate: Estimate,
    ) -> None:
        self.caller_name = caller_name
        self.work_seconds = estimate.work_seconds
        self._timer = serving.estimates.timer(prepared)
        self._call = call
        self._prepared = prepared
        self._serving = serving
        self._meter = meter
        self._loop = asyncio.get_running_loop()
        self._cancel = CancelFlag()
        self._has_started = False
        self._has_waited = False
        self._outbox: Outbox[codec.Outgoing] = Outbox(serving.max_buffered_bytes, self.abandon)
        wait_seconds = serving.admission.wait_seconds(caller_name)
        self._put(
            codec.accepted_response(call.request_id, prepared.settings, prepared.warnings, estimate, wait_seconds)
        )
        serving.admission.enter(self)

    def messages(self) -> AsyncGenerator[codec.Outgoing, None]:
        """Everything for the reader, in order; raises what the job failed with."""
        return self._outbox.messages()

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
            work.add_done_callback(lambda done: self._loop.call_soon_threadsafe(self._end, done))

    def refuse(self, error: BaseException) -> None:
        """Ends the stream now; the engine stops before its next graph call."""
        self._outbox.fail(error)
        self._stop()

    def abandon(self) -> None:
        """Nobody reads any more. Harmless after the end."""
        self._stop()
        if not self._has_started:
            self._serving.admission.leave(self)

    def _stop(self) -> None:
        self._cancel.set()
        if self._has_started:
            self._meter.stop_requested()

    def _drive(self) -> None:
        for event in self._serving.engine.generate(self._prepared, self._cancel):
            self._loop.call_soon_threadsafe(self._pass_on, event)

    def _pass_on(self, event: Event) -> None:
        self._meter.event(event)
        self._timer.event(event)
        if self._cancel.is_set:
            return  # nobody reads any more
        if isinstance(event, JobDone):
            self._put(
                codec.summary_response(
                    event,
                    self._call.request_id,
                    self._prepared.settings,
                    self._serving.capabilities,
                    self._meter.queue_seconds,
                )
            )
        elif codec.must_compress(event, self._call.frame_encoding):
            slot = self._outbox.reserve(codec.pixel_bytes(event))
            encoding = self._loop.run_in_executor(
                self._serving.encoders, codec.event_response, event, self._call.frame_encoding
            )
            encoding.add_done_callback(lambda done: self._deliver(slot, done))
        else:
            self._put(codec.event_response(event, self._call.frame_encoding))

    def _put(self, message: codec.Outgoing) -> None:
        self._outbox.put(message, message.byte_count)

    def _deliver(self, slot: Slot[codec.Outgoing], done: asyncio.Future[codec.Outgoing]) -> None:
        if done.cancelled():
            return
        if error := done.exception():
            self.refuse(error)
        else:
            message = done.result()
            self._outbox.fill(slot, message, message.byte_count)

    def _end(self, work: Future[None]) -> None:
        self._meter.work_ended()
        self._outbox.finish(work.exception())
        self._serving.admission.leave(self)
