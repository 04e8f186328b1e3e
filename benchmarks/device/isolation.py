"""One step in a process of its own, which is ended with its children when its time is over. Knows no figures."""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import signal
import time
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, SpawnContext

from benchmarks.device.attempts import Attempts, told
from benchmarks.device.record import Record
from benchmarks.device.steps import STEPS, Setting, Step

_POLL_SECONDS = 0.2


def run_apart(number: str, step: Step, setting: Setting, seconds: float, record: Record) -> None:
    """Runs a step for so many seconds at most; what it finds goes into the record at once."""
    context = _context(setting)
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(step.module, setting, seconds, sending))
    process.start()
    sending.close()
    deadline = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline:
            if receiving.poll(_POLL_SECONDS):
                record.add(number, *receiving.recv())
        record.add(number, "errors", "all", f"ended after {seconds:.0f} s")
    except EOFError:
        process.join(_POLL_SECONDS * 50)
        if process.exitcode:
            record.add(number, "errors", "all", f"the process ended with status {process.exitcode}")
    finally:
        assert process.pid is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.join()


def _context(setting: Setting) -> SpawnContext | ForkServerContext:
    """On a card a fresh process: a fork would have what imports did to the driver. Else forks that imported once."""
    if setting.device == "cuda":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([step.module for step in STEPS.values()])
    return context


def _run(module: str, setting: Setting, seconds: float, sending: Connection) -> None:
    os.setsid()  # compilers that torch starts end with this process
    attempts = Attempts(lambda *entry: sending.send(entry), seconds)
    try:
        importlib.import_module(module).run(setting, attempts)
    except Exception as error:  # noqa: BLE001 - whatever it is, the record tells it and the next step goes on
        sending.send(("errors", "all", told(error)))
    sending.close()
