"""One worker process, seen from the server: starts it, passes calls to it, and tells how it ended.

Knows one life; the next one is ``supervisor``'s. A thread reads what the worker says and hands it to whoever made the
call. When the process ends, for whatever reason, every open call gets ``ProcessLost``.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import signal
import threading
import time
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

from engine.api.cancellation import CancelFlag
from engine.api.capabilities import Capabilities
from engine.api.engine import Engine, LossReason
from engine.api.errors import OutOfMemory
from engine.api.events import Event
from engine.api.job import ClipPlan, PreparedJob
from engine.api.match_report import MatchReport
from engine.api.media import Image
from engine.runtime.process_memory import memory_kill_count
from engine.worker.arena import Arena, Layout
from engine.worker.channel import Channel, SlotReader, SlotWriter
from engine.worker.child import SCORE_THREAD_COUNT, work
from engine.worker.messages import Attach, Close, Done, Failed, Generate, Happened, Opened, OpenFailed, Score

_FRAME_SLOT_COUNT = 4
_EXIT_CODE_SECONDS = 0.5


class ProcessLost(Exception):
    """The process ended under a call."""

    def __init__(self, reason: LossReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


_Reply = Happened | Done | Failed | ProcessLost


class WorkerProcess:
    """Starts the process; ``open`` must be called before anything else but ``kill``.

    The thread that makes it must live as long as the process does: on Linux the worker ends with that thread.
    """

    def __init__(self, open_engine: Callable[[], Engine], set_up: Callable[[], None]) -> None:
        context = multiprocessing.get_context("spawn")
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._inboxes: dict[int, SimpleQueue[_Reply]] = {}
        self._busy_since: dict[int, float] = {}
        self._verdict: LossReason | None = None
        self._arena: Arena | None = None
        self._kill_count = memory_kill_count()
        self.lost = threading.Event()
        self._connection, worker_connection = context.Pipe()
        # Numbers of free slots: of those to the worker it returns them, of those to the server it gets them back.
        free_here, returned_there = context.Pipe(duplex=False)
        free_there, returned_here = context.Pipe(duplex=False)
        self._free_here, self._returned_here = free_here, returned_here
        self._process = context.Process(
            target=work,
            args=(open_engine, set_up, worker_connection, free_there, returned_there),
            name="stillcue-engine",
            daemon=True,
        )
        self._process.start()
        for pipe in (worker_connection, free_there, returned_there):
            pipe.close()

    def open(self) -> Capabilities:
        """Waits until the engine is open. Raises what opening it raises, or ``ProcessLost``."""
        try:
            capabilities = self._wait_open()
            self._arena, layout = self._share(capabilities)
        except BaseException:
            self.kill()
            self._process.join()
            self._release()
            raise
        self._channel = Channel(
            self._connection,
            SlotWriter(self._arena, layout.to_worker, self._free_here),
            SlotReader(self._arena, layout.to_server, self._returned_here),
        )
        self._reader = threading.Thread(target=self._read, name="engine-replies", daemon=True)
        self._reader.start()
        return capabilities

    @property
    def process_id(self) -> int:
        """Of the worker."""
        return self._process.pid or 0

    @property
    def is_ending(self) -> bool:
        """Whether it is of no use to a new call."""
        return self.lost.is_set() or self._verdict is not None

    def generate(self, job: PreparedJob, cancel: CancelFlag) -> Iterator[Event]:
        """See ``Engine.generate``; raises ``ProcessLost`` too. Returns when the worker is done with the job."""
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
        """See ``Engine.score_match``; raises ``ProcessLost`` too."""
        with self._call() as (number, inbox):
            self._send(Score(number, image, prompt, plan))
            report = _result(inbox.get())
        if report is None:
            raise RuntimeError("the worker answered a score without a report")
        return report

    def watch(self, max_step_seconds: float) -> LossReason | None:
        """Waits for the process' end, and ends it itself where a call gets on no more; None: it was closed."""
        progress, changed_at = 0, time.monotonic()
        while not self.lost.wait(min(max_step_seconds / 4, 1.0)):
            now = time.monotonic()
            with self._lock:
                oldest = min(self._busy_since.values(), default=now)
                current = self._arena.progress if self._arena is not None else progress
            if current != progress:
                progress, changed_at = current, now
            if now - max(oldest, changed_at) > max_step_seconds:
                self._condemn(LossReason.HUNG)
        return self._verdict

    def close(self, timeout_seconds: float) -> None:
        """Lets the worker close its engine after the running job, and kills it where that takes too long."""
        threading.Thread(target=self._say_close, name="engine-close", daemon=True).start()
        if not self.lost.wait(timeout_seconds):
            self.kill()
            self.lost.wait()

    def kill(self) -> None:
        """Ends the process now."""
        with contextlib.suppress(OSError):
            self._process.kill()

    def join(self) -> None:
        """Waits until the process is gone and its memory given back."""
        self._reader.join()

    def _wait_open(self) -> Capabilities:
        match self._say(None):
            case Opened(capabilities):
                return capabilities
            case OpenFailed(failure):
                raise failure.error()
        raise ProcessLost(LossReason.CRASHED)

    def _share(self, capabilities: Capabilities) -> tuple[Arena, Layout]:
        picture_bytes = max(item.width_px * item.height_px * 3 for item in capabilities.geometries)
        layout = Layout.of(
            1 + SCORE_THREAD_COUNT,
            max(capabilities.limits.max_image_bytes, picture_bytes),
            _FRAME_SLOT_COUNT,
            picture_bytes,
        )
        arena = Arena.create(layout)
        try:
            self._say(Attach(arena.name, layout))
        except BaseException:
            arena.close()
            raise
        finally:
            arena.forget_name()
        return arena, layout

    def _say(self, message: object) -> Any:
        """Sends something before there is a channel, and waits for the answer."""
        try:
            if message is not None:
                self._connection.send(message)
            return self._connection.recv()
        except (EOFError, OSError):
            self._process.join(_EXIT_CODE_SECONDS)
            raise ProcessLost(self._reason_of_end() or LossReason.CRASHED) from None

    def _send(self, message: object) -> None:
        # Where the worker is gone, its reader tells; the answer of this call is then the loss.
        with contextlib.suppress(EOFError, OSError):
            self._channel.send(message)

    def _say_close(self) -> None:
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
            if self._arena is not None:
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
                if isinstance(reply, Failed) and issubclass(reply.failure.kind, OutOfMemory):
                    # Its end is what gives the memory back. The next job comes when this one is answered.
                    self._condemn(LossReason.OUT_OF_MEMORY)
                if inbox is not None:
                    inbox.put(reply)
        self._process.join(_EXIT_CODE_SECONDS)
        self._verdict = self._verdict or self._reason_of_end()
        with self._lock:
            self.lost.set()
            for inbox in self._inboxes.values():
                inbox.put(ProcessLost(self._verdict or LossReason.CRASHED))
        self.kill()
        self._process.join()
        self._channel.close()
        self._release()

    def _reason_of_end(self) -> LossReason | None:
        """What the exit code says; None for an end as it should be."""
        code = self._process.exitcode
        if code == 0:
            return None
        was_killed_for_memory = code == -signal.SIGKILL and memory_kill_count() > self._kill_count
        return LossReason.OUT_OF_MEMORY if was_killed_for_memory else LossReason.CRASHED

    def _release(self) -> None:
        with self._lock:
            arena, self._arena = self._arena, None
        if arena is not None:
            arena.close()
        for pipe in (self._connection, self._free_here, self._returned_here):
            pipe.close()


def _result(reply: _Reply) -> MatchReport | None:
    match reply:
        case Failed(failure=failure):
            raise failure.error()
        case ProcessLost():
            raise reply
        case Done(report=report):
            return report
    raise RuntimeError(f"{type(reply).__name__} ends no call")
