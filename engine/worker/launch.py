"""Starts a worker process, waits until its engine is open, and sets up the channel to it."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from engine.api.capabilities import Capabilities
from engine.api.engine import Engine, LossReason
from engine.runtime.process_memory import memory_kill_count
from engine.worker.arena import Arena, Layout
from engine.worker.entry import run_worker
from engine.worker.messages import SCORE_THREAD_COUNT, Attach, Opened, OpenFailed

if TYPE_CHECKING:
    from engine.worker.channel import Channel

_FRAME_SLOT_COUNT = 4
_EXIT_CODE_SECONDS = 0.5


class ProcessLost(Exception):
    """The worker process ended during a call."""

    def __init__(self, reason: LossReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class WorkerLaunch:
    """A worker process and its pipes. Constructing it starts the process."""

    def __init__(self, open_engine: Callable[[], Engine], set_up: Callable[[], None]) -> None:
        context = multiprocessing.get_context("spawn")
        self._kill_count = memory_kill_count()
        self._connection, worker_connection = context.Pipe()
        # Each pipe returns the numbers of free slots to the sender of one direction.
        free_here, returned_there = context.Pipe(duplex=False)
        free_there, returned_here = context.Pipe(duplex=False)
        self._free_here, self._returned_here = free_here, returned_here
        self._process = context.Process(
            target=run_worker,
            args=(open_engine, set_up, worker_connection, free_there, returned_there),
            name="stillcue-engine",
            daemon=True,
        )
        self._process.start()
        for pipe in (worker_connection, free_there, returned_there):
            pipe.close()

    @property
    def process_id(self) -> int:
        """Process id of the worker."""
        return self._process.pid or 0

    def open(self) -> tuple[Capabilities, Arena, Channel]:
        """Waits until the engine is open, and shares memory with the worker.

        Raises what opening the engine raises, or ``ProcessLost``; the process has then ended.
        """
        try:
            capabilities = self._wait_open()
            arena, layout = self._share(capabilities)
        except BaseException:
            self.end()
            self.close_pipes()
            raise
        from engine.worker.channel import Channel, SlotReader, SlotWriter

        channel = Channel(
            self._connection,
            SlotWriter(arena, layout.to_worker, self._free_here),
            SlotReader(arena, layout.to_server, self._returned_here),
        )
        return capabilities, arena, channel

    def kill(self) -> None:
        """Ends the process now."""
        with contextlib.suppress(OSError):
            self._process.kill()

    def end(self) -> None:
        """Kills the process and waits until it is gone."""
        self.kill()
        self._process.join()

    def close_pipes(self) -> None:
        """Closes this side of the pipes."""
        for pipe in (self._connection, self._free_here, self._returned_here):
            pipe.close()

    def reason_of_end(self) -> LossReason | None:
        """The reason that the exit code tells; None for an orderly end."""
        self._process.join(_EXIT_CODE_SECONDS)
        code = self._process.exitcode
        if code == 0:
            return None
        was_killed_for_memory = code == -signal.SIGKILL and memory_kill_count() > self._kill_count
        return LossReason.OUT_OF_MEMORY if was_killed_for_memory else LossReason.CRASHED

    def _wait_open(self) -> Capabilities:
        match self._exchange(None):
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
            self._exchange(Attach(arena.name, layout))
        except BaseException:
            arena.close()
            raise
        finally:
            arena.forget_name()
        return arena, layout

    def _exchange(self, message: object) -> Any:
        """Sends a message before the channel exists, unless it is None, and waits for the answer."""
        try:
            if message is not None:
                self._connection.send(message)
            return self._connection.recv()
        except (EOFError, OSError):
            raise ProcessLost(self.reason_of_end() or LossReason.CRASHED) from None
