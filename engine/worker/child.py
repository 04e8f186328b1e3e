"""The worker process: opens the engine, generates clips and scores pairs for the server.

Three kinds of threads: the main thread opens the engine and runs jobs, one thread reads messages, and a few score
pairs, so that a score never waits for a clip. The worker ends with the server: when the pipe closes, and on Linux also
through the kernel, in case a graph call keeps the reading thread from running.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from engine.api.cancellation import CancelFlag
from engine.api.engine import Engine
from engine.api.errors import Cancelled
from engine.host.parent import end_with_parent
from engine.worker.arena import Arena
from engine.worker.channel import Channel, SlotReader, SlotWriter
from engine.worker.messages import (
    SCORE_THREAD_COUNT,
    Attach,
    Close,
    Done,
    Failed,
    Failure,
    Generate,
    Happened,
    Opened,
    OpenFailed,
    Score,
)

_KILL_PREFERENCE = 200  # out of memory the kernel should kill the worker, which is restarted, and not the server


def work(
    open_engine: Callable[[], Engine],
    set_up: Callable[[], None],
    connection: Connection[Any, Any],
    slots_returned: Connection[Any, Any],
    slots_to_return: Connection[Any, Any],
) -> None:
    """Runs a worker from start to end; see ``entry.run_worker``."""
    _end_with_server()
    set_up()
    with contextlib.suppress(EOFError, OSError):  # the server is gone
        try:
            engine = open_engine()
        except Exception as error:  # noqa: BLE001  the server reports it
            connection.send(OpenFailed(Failure.of(error)))
            return
        connection.send(Opened(engine.capabilities()))
        attach: Attach = connection.recv()
        arena = Arena.attach(attach.name)
        connection.send(attach)
        channel = Channel(
            connection,
            SlotWriter(arena, attach.layout.to_server, slots_returned),
            SlotReader(arena, attach.layout.to_worker, slots_to_return),
        )
        _Worker(engine, arena, channel).run()


class _SharedFlag(CancelFlag):
    """The cancel flag of one job, set by the server in shared memory.

    Each check also records progress for the server.
    """

    def __init__(self, arena: Arena, number: int) -> None:
        super().__init__()
        self._arena, self._number = arena, number

    @property
    def is_set(self) -> bool:
        return super().is_set or self._arena.cancelled >= self._number

    def check(self) -> None:
        self._arena.note_progress()
        if self.is_set:
            raise Cancelled("the job was cancelled")


class _Worker:
    def __init__(self, engine: Engine, arena: Arena, channel: Channel) -> None:
        self._engine, self._arena, self._channel = engine, arena, channel
        self._jobs: SimpleQueue[Generate | None] = SimpleQueue()
        self._scorers = ThreadPoolExecutor(SCORE_THREAD_COUNT, thread_name_prefix="score")

    def run(self) -> None:
        """Runs jobs until the server sends ``Close``."""
        gc.freeze()  # what the engine loaded stays
        threading.Thread(target=self._listen, name="listen", daemon=True).start()
        while (asked := self._jobs.get()) is not None:
            self._generate(asked)
        self._engine.close()

    def _listen(self) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                match self._channel.receive():
                    case Generate() as asked:
                        self._jobs.put(asked)
                    case Score() as asked:
                        self._scorers.submit(self._score, asked)
                    case Close():
                        self._jobs.put(None)
        os._exit(1)  # the server is gone, so no result of this process is needed

    def _generate(self, asked: Generate) -> None:
        try:
            for event in self._engine.generate(asked.job, _SharedFlag(self._arena, asked.number)):
                self._channel.send(Happened(asked.number, event))
                self._arena.note_progress()
        except Exception as error:  # noqa: BLE001  the server reports it
            self._channel.send(Failed(asked.number, Failure.of(error)))
        else:
            self._channel.send(Done(asked.number))

    def _score(self, asked: Score) -> None:
        try:
            report = self._engine.score_match(asked.image, asked.prompt, asked.plan)
        except Exception as error:  # noqa: BLE001  the server reports it
            self._channel.send(Failed(asked.number, Failure.of(error)))
        else:
            self._channel.send(Done(asked.number, report))


def _end_with_server() -> None:
    """Ignores signals to the process group, and asks the kernel to end this process together with the server."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(ValueError, OSError, AttributeError):
        faulthandler.enable()
    end_with_parent(_KILL_PREFERENCE)
