"""Servers in processes of their own, on free ports."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from tests.serving import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT = Path(__file__).parent.parent
FREE_PORTS = ("--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0")


@dataclass(frozen=True)
class ServerProcess:
    """A server in a process of its own."""

    process: asyncio.subprocess.Process
    channel: grpc.aio.Channel

    async def graph_call(self) -> str:
        """Lets the engine make one graph call; the call's name."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        return await line_of(self.process.stdout)


async def line_of(stream: asyncio.StreamReader | None) -> str:
    assert stream is not None
    return (await asyncio.wait_for(stream.readline(), PATIENCE_SECONDS)).decode().strip()


def start_process(*arguments: str, **environment: str) -> Any:
    return asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), **environment},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@asynccontextmanager
async def gated_process(*flags: str) -> AsyncIterator[ServerProcess]:
    process = await start_process("-m", "tests.gated_server", "--engine", "fake", *FREE_PORTS, *flags)
    try:
        ready = (await line_of(process.stdout)).split(" ")
        assert ready[:2] == ["stillcue", "ready"]
        addresses = dict(word.split("=") for word in ready[2:])
        assert list(addresses) == ["grpc", "metrics"]
        async with grpc.aio.insecure_channel(addresses["grpc"]) as channel:
            yield ServerProcess(process, channel)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
