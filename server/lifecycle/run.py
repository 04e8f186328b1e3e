"""Runs a server in a process: start, signals, drain, stop."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING

from server.lifecycle.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.api.engine import Engine
    from server.settings import Settings


async def run(settings: Settings, open_engine: Callable[[], Engine]) -> bool:
    """Serves until SIGTERM or SIGINT, drains and stops; a second signal ends the grace.

    Prints ``stillcue ready grpc=HOST:PORT metrics=HOST:PORT`` to stdout once calls are accepted. Returns and raises
    like ``Server.stop`` and ``Server.start``.
    """
    stop_asked, hurry_asked = asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        (hurry_asked if stop_asked.is_set() else stop_asked).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    server = Server(settings, open_engine)
    starting = asyncio.create_task(server.start())
    waiting = asyncio.create_task(stop_asked.wait())
    try:
        await asyncio.wait([starting, waiting], return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            grpc_address, metrics_address = starting.result()
            sys.stdout.write(f"stillcue ready grpc={grpc_address} metrics={metrics_address}\n")
            sys.stdout.flush()
            await waiting
            await server.drain(hurry_asked)
    finally:
        starting.cancel()
        waiting.cancel()
        is_at_rest = await server.stop()
    return is_at_rest
