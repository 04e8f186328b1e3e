"""Keeps a worker process running: starts it, waits for its end, restarts it after a pause that grows.

One thread starts every worker and outlives the last of them. The first start raises its own error; later starts are
retried until the supervisor is closed.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from engine.api.cancellation import CancelFlag
from engine.api.capabilities import Capabilities
from engine.api.engine import Engine, LossReason, WorkerListener
from engine.api.errors import (
    BundleInvalid,
    DeviceLost,
    EngineError,
    EngineHung,
    EngineLost,
    EngineRestarting,
    OutOfMemory,
)
from engine.api.settings import WorkerSettings
from engine.worker.launch import ProcessLost
from engine.worker.process import WorkerProcess

_log = logging.getLogger(__name__)
_LONGEST_PAUSE_SECONDS = 60.0
_STEADY_SECONDS = 60.0  # a worker that lived as long is no repeated fault
_CLOSE_SECONDS = 5.0


class Supervisor:
    """Constructing it starts the process of the first worker; call ``wait_until_open`` next."""

    def __init__(self, open_engine: Callable[[], Engine], settings: WorkerSettings) -> None:
        self._open_engine = open_engine
        self._settings = settings
        self._changed = threading.Condition()
        self._process: WorkerProcess | None = None
        self._opening: WorkerProcess | None = None
        self._listeners: list[WorkerListener] = []
        self._first: Future[Capabilities] = Future()  # what the first start comes to
        self._loss: LossReason | None = None  # while no worker runs
        self._is_closed = False
        self._is_given_up = False  # the latest start failed, so calls do not wait for the next one
        self._pause_seconds = settings.restart_seconds
        self._open_seconds = 0.0
        self._is_launched = threading.Event()
        self._thread = threading.Thread(target=self._run, name="engine-supervisor", daemon=True)
        self._thread.start()
        self._is_launched.wait()  # the caller's imports would delay the launch
        atexit.register(self.kill)  # multiprocessing waits for its processes when Python ends

    def wait_until_open(self) -> None:
        """Waits for the first worker. Raises what opening the engine raises."""
        try:
            self._first.result()
        except BaseException:
            atexit.unregister(self.kill)
            raise

    @property
    def capabilities(self) -> Capabilities:
        """Capabilities of the first worker."""
        return self._first.result()

    @property
    def retry_seconds(self) -> float:
        """Estimated seconds until a worker runs."""
        return self._pause_seconds + self._open_seconds

    @property
    def _is_running(self) -> bool:
        return self._process is not None and not self._process.is_ending

    @property
    def process_id(self) -> int | None:
        """Process id of the worker; None while no worker runs."""
        process = self._process
        return None if process is None else process.process_id

    def watch(self, listener: WorkerListener) -> None:
        """Registers a listener for every later change; an ongoing loss is reported at once."""
        with self._changed:
            self._listeners.append(listener)
            loss = self._loss
        if loss is not None:
            listener.lost(loss)

    def process(self) -> WorkerProcess:
        """The running worker. Raises ``EngineRestarting`` while none runs."""
        with self._changed:
            if self._process is None or not self._is_running or self._is_closed:
                raise EngineRestarting(self.retry_seconds)
            return self._process

    def wait_for_process(self, cancel: CancelFlag) -> WorkerProcess:
        """The running worker, or the next one.

        Raises ``Cancelled``, or ``EngineRestarting`` if the next one does not start.
        """
        cancel.when_set(self._notify)
        with self._changed:
            self._changed.wait_for(lambda: self._is_running or self._is_given_up or self._is_closed or cancel.is_set)
        cancel.check()
        return self.process()

    def error_of(self, lost: ProcessLost) -> EngineError:
        """The engine error for a caller whose call was lost."""
        match lost.reason:
            case LossReason.HUNG:
                return EngineHung(self._settings.max_step_seconds, self.retry_seconds)
            case LossReason.OUT_OF_MEMORY:
                return OutOfMemory("the worker process was killed for lack of memory")
            case LossReason.DEVICE_LOST:
                return DeviceLost("another call of the worker process lost the GPU", self.retry_seconds)
            case LossReason.CRASHED:
                return EngineLost(self.retry_seconds)

    def close(self) -> None:
        """Lets the worker finish its job and end, and starts no other.

        Kills a worker that takes long or is still opening.
        """
        with self._changed:
            self._is_closed = True
            process = self._process
            self._changed.notify_all()
        if process is None:
            self.kill()
        else:
            process.close(_CLOSE_SECONDS)
        self._thread.join()
        atexit.unregister(self.kill)

    def kill(self) -> None:
        """Ends the worker now, and starts no other. Safe to call at any time, from any thread."""
        with self._changed:
            self._is_closed = True
            process = self._process or self._opening
            self._changed.notify_all()
        if process is not None:
            process.kill()

    def _run(self) -> None:
        lost_at: float | None = None
        while not self._is_closed:
            process = self._start(is_first=lost_at is None)
            if process is None:
                if lost_at is None:
                    return
                self._pause()
                continue
            started_at = time.monotonic()
            if lost_at is not None:
                self._announce(started_at - lost_at)
            reason = process.watch(self._settings.max_step_seconds)
            with self._changed:
                self._process = None
            if time.monotonic() - started_at > _STEADY_SECONDS:
                self._pause_seconds = self._settings.restart_seconds
            if not self._is_closed:
                lost_at = time.monotonic()
                self._tell_loss(reason or LossReason.CRASHED)
            process.join()
            if not self._is_closed:
                self._pause()

    def _start(self, is_first: bool) -> WorkerProcess | None:
        started_at = time.monotonic()
        try:
            try:
                process = WorkerProcess(self._open_engine, self._settings.set_up)
            finally:
                self._is_launched.set()
            with self._changed:
                self._opening = process
                if self._is_closed:
                    process.kill()
            capabilities = process.open()
            if not is_first and capabilities != self.capabilities:
                process.close(_CLOSE_SECONDS)
                raise BundleInvalid(_change(self.capabilities, capabilities))
        except Exception as error:  # noqa: BLE001  the first start raises it, later ones are logged
            self._give_up(error, is_first)
            return None
        self._open_seconds = time.monotonic() - started_at
        with self._changed:
            self._process, self._opening, self._loss, self._is_given_up = process, None, None, False
            self._changed.notify_all()
            if self._is_closed:
                process.kill()
        if is_first:
            self._first.set_result(capabilities)
        return process

    def _give_up(self, error: Exception, is_first: bool) -> None:
        if not is_first and not self._is_closed:
            _log.error("the worker process does not start: %s", error)
        with self._changed:
            self._opening = None
            self._is_given_up = True
            self._changed.notify_all()
        if is_first:
            was_lost = isinstance(error, ProcessLost)
            self._first.set_exception(BundleInvalid(_START_LOST.format(error)) if was_lost else error)

    def _announce(self, down_seconds: float) -> None:
        _log.info("the worker process is ready again after %.3f s", down_seconds)
        with self._changed:
            listeners = list(self._listeners)
        for listener in listeners:
            listener.ready(down_seconds)

    def _tell_loss(self, reason: LossReason) -> None:
        _log.error("the worker process was lost (%s); restarting it in %g s", reason.value, self._pause_seconds)
        with self._changed:
            self._loss = reason
            listeners = list(self._listeners)
        for listener in listeners:
            listener.lost(reason)

    def _pause(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed, self._pause_seconds)
        self._pause_seconds = min(self._pause_seconds * 2, _LONGEST_PAUSE_SECONDS)

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()


_START_LOST = "the worker process ended while it opened the bundle ({}); its last output is above in the log"


def _change(before: Capabilities, after: Capabilities) -> str:
    """Why a further worker is not used."""
    if (before.device, before.gpu_uuid) != (after.device, after.gpu_uuid):
        return (
            f"the engine opened on {after.device} {after.gpu_uuid} and not on {before.device} {before.gpu_uuid} as "
            "before; see `nvidia-smi -L`, and restart the server to use what is left"
        )
    return "the bundle on disk has changed since the server started; restart the server to serve it"
