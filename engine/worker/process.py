"""One worker process, seen from the server: passes calls to it and finds out how it ended.

A thread reads the worker's replies and hands each to the caller that waits for it. When the process ends, every open
call raises ``ProcessLost``. One object stands for one process; ``supervisor`` starts the next one.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from queue import SimpleQueue

from engine.api.cancellation import CancelFlag
from engine.api.capabilities import Capabilities
from engine.api.engine import Engine, LossReason
from engine.api.errors import DeviceLost, OutOfMemory
from engine.api.events import Event
from engine.api.job import ClipPlan, PreparedJob
from engine.api.match_report import MatchReport
from engine.api.media import Image
from engine.worker.launch import ProcessLost, WorkerLaunch
from engine.worker.messages import Close, Done, Failed, Generate, Happened, Score

_Reply = Happened | Done | Failed | ProcessLost


class WorkerProcess:
    """Starts the process. Call ``open`` before anything else but ``kill``.

    The thread that constructs the object must live as long as the process: on Linux the worker ends with that thread.
    """

    def __init__(self, open_engine: Callable[[], Engine], set_up: Callable[[], None]) -> None:
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._inboxes: dict[int, SimpleQueue[_Reply]] = {}
        self._busy_since: dict[int, float] = {}
        self._verdict: LossReason | None = None
        self._has_arena = False
        self.lost = threading.Event()
        self._launch = WorkerLaunch(open_engine, set_up)

    def open(self) -> Capabilities:
        """Waits until the engine is open. Raises what opening it raises, or ``ProcessLost``."""
        capabilities, self._arena, self._channel = self._launch.open()
        self._has_arena = True
        self._reader = threading.Thread(target=self._read, name="engine-replies", daemon=True)
        self._reader.start()
        return capabilities

    @property
    def process_id(self) -> int:
        """Process id of the worker."""
        return self._launch.process_id

    @property
    def is_ending(self) -> bool:
        """True once the process ended or is being killed, so that new calls must not use it."""
        return self.lost.is_set() or self._verdict is not None

    def generate(self, job: PreparedJob, cancel: CancelFlag) -> Iterator[Event]:
        """See ``Engine.generate``; also raises ``ProcessLost``. Returns once the worker is done with the job."""
        with self._call() as (number, inbox):
            cancel.when_set(lambda: self._cancel(number))
            is_over = False
            try:
                self._send(Generate(number, job))
                while True:
                    reply = inbox.get()
                    is_over = not isinstance(reply, Happened)
                    if isinstance(reply, Happened):
                        yield reply.event
                    elif _result(reply) is None:
                        return
            finally:
                if not is_over:
                    self._cancel(number)
                    while isinstance(inbox.get(), Happened):
                        pass

    def score_match(self, image: Image, prompt: str, plan: ClipPlan) -> MatchReport:
        """See ``Engine.score_match``; also raises ``ProcessLost``."""
        with self._call() as (number, inbox):
            self._send(Score(number, image, prompt, plan))
            report = _result(inbox.get())
        if report is None:
            raise RuntimeError("the worker answered a score without a report")
        return report

    def watch(self, max_step_seconds: float) -> LossReason | None:
        """Blocks until the process ended, and kills it if a call makes no progress for ``max_step_seconds``.

        Returns the reason of the loss; None after ``close``.
        """
        progress, changed_at = 0, time.monotonic()
        while not self.lost.wait(min(max_step_seconds / 4, 1.0)):
            now = time.monotonic()
            with self._lock:
                oldest = min(self._busy_since.values(), default=now)
                current = self._arena.progress if self._has_arena else progress
            if current != progress:
                progress, changed_at = current, now
            if now - max(oldest, changed_at) > max_step_seconds:
                self._condemn(LossReason.HUNG)
        return self._verdict

    def close(self, timeout_seconds: float) -> None:
        """Lets the worker finish its job and close its engine; kills the worker after ``timeout_seconds``."""
        threading.Thread(target=self._send_close, name="engine-close", daemon=True).start()
        if not self.lost.wait(timeout_seconds):
            self.kill()
            self.lost.wait()

    def kill(self) -> None:
        """Ends the process now."""
        self._launch.kill()

    def join(self) -> None:
        """Waits until the process is gone and its memory is freed."""
        self._reader.join()

    def _send(self, message: object) -> None:
        # If the worker is gone, the reader ends every open call with the loss.
        with contextlib.suppress(EOFError, OSError):
            self._channel.send(message)

    def _send_close(self) -> None:
        self._send(Close())

    @contextlib.contextmanager
    def _call(self) -> Iterator[tuple[int, SimpleQueue[_Reply]]]:
        inbox: SimpleQueue[_Reply] = SimpleQueue()
        with self._lock:
            if self.lost.is_set():
                raise ProcessLost(self._verdict or LossReason.CRASHED)
            number = next(self._numbers)
            self._inboxes[number] = inbox
            self._busy_since[number] = time.monotonic()
        try:
            yield number, inbox
        finally:
            with self._lock:
                del self._inboxes[number], self._busy_since[number]

    def _cancel(self, number: int) -> None:
        with self._lock:
            if self._has_arena:
                self._arena.cancelled = max(self._arena.cancelled, number)

    def _condemn(self, reason: LossReason) -> None:
        self._verdict = self._verdict or reason
        self.kill()

    def _read(self) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                reply: Happened | Done | Failed = self._channel.receive()
                with self._lock:
                    inbox = self._inboxes.get(reply.number)
                if isinstance(reply, Failed) and (reason := _fatal(reply.failure.kind)) is not None:
                    # Only the end of the process frees memory and GPU. The next job comes once this one is answered.
                    self._condemn(reason)
                if inbox is not None:
                    inbox.put(reply)
        self._verdict = self._verdict or self._launch.reason_of_end()
        with self._lock:
            self.lost.set()
            for inbox in self._inboxes.values():
                inbox.put(ProcessLost(self._verdict or LossReason.CRASHED))
        self._launch.end()
        self._channel.close()
        with self._lock:
            self._has_arena = False
        self._arena.close()
        self._launch.close_pipes()


def _fatal(error: type[BaseException]) -> LossReason | None:
    """Why a worker that reports such an error must end; None if it can go on."""
    if issubclass(error, OutOfMemory):
        return LossReason.OUT_OF_MEMORY
    return LossReason.DEVICE_LOST if issubclass(error, DeviceLost) else None


def _result(reply: _Reply) -> MatchReport | None:
    match reply:
        case Failed(failure=failure):
            raise failure.error()
        case ProcessLost():
            raise reply
        case Done(report=report):
            return report
    raise RuntimeError(f"{type(reply).__name__} ends no call")
