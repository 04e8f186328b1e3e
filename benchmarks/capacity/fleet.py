"""Real servers on a sleeping engine behind a real HAProxy, and jobs that are sent to them at given times."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import time
import urllib.request
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc.aio

from benchmarks.processes import first_line, spawn
from deploy.haproxy.__main__ import main as write_configuration
from stillcue.proxies import DIRECT
from stillcue.v1 import generate_pb2, media_pb2, service_pb2_grpc

# The fake engine's graph calls beside the steps: match, text, picture, and the decode of 9 frames.
FIXED_CALL_COUNT = 6
_PATIENCE_SECONDS = 60.0
_FREE = ("--listen=127.0.0.1:0", "--metrics-listen=127.0.0.1:0", "--engine=fake")


@dataclass(frozen=True)
class Timed:
    """A job in seconds of one clock; ``accepted_at`` None: refused."""

    sent_at: float
    accepted_at: float | None
    ended_at: float


@asynccontextmanager
async def fleet(folder: Path, cards: int, queue_jobs: int, call_seconds: float) -> AsyncIterator[grpc.aio.Channel]:
    """Starts servers and HAProxy; yields a channel to HAProxy. Raises ``SystemExit`` without HAProxy."""
    program = shutil.which("haproxy")
    if program is None:
        raise SystemExit("HAProxy is missing; install Debian's package haproxy")
    servers = [spawn("benchmarks.capacity.side", str(call_seconds), *_FREE) for _ in range(cards)]
    haproxy: subprocess.Popen[bytes] | None = None
    try:
        flags = []
        for number, server in enumerate(servers):
            words = dict(word.split("=") for word in first_line(server).split()[2:])
            flags.append(f"--server=s{number}={words['grpc']}")
        address, metrics = _free_addresses()
        flags += [f"--listen={address}", f"--metrics-listen={metrics}", f"--queue-jobs={queue_jobs}", f"--out={folder}"]
        if write_configuration(flags):
            raise SystemExit("HAProxy's configuration could not be written")
        with (folder / "log").open("wb") as log:
            haproxy = subprocess.Popen(
                [program, "-db", "-f", str(folder / "haproxy.cfg")], stdout=log, stderr=subprocess.STDOUT
            )
        await _all_up(metrics, cards)
        async with grpc.aio.insecure_channel(address, options=DIRECT) as channel:
            yield channel
    finally:
        for process in (haproxy, *servers):
            if process is not None:
                process.terminate()
                process.wait()


async def send(channel: grpc.aio.Channel, image: bytes, arrivals: list[float], step_counts: list[int]) -> list[Timed]:
    """Sends each job at its time in seconds from now; returns when all have ended."""
    began_at = time.perf_counter()
    jobs = (_job(channel, image, began_at + at, steps) for at, steps in zip(arrivals, step_counts, strict=True))
    return list(await asyncio.gather(*jobs))


async def _job(channel: grpc.aio.Channel, image: bytes, sent_at: float, step_count: int) -> Timed:
    request = generate_pb2.GenerateRequest(
        request_id=str(uuid.uuid4()),
        image=media_pb2.Image(data=image),
        prompt="a red fox turns its head",
        sampling=generate_pb2.SamplingSpec(step_count=step_count, seed=7),
        stream=generate_pb2.StreamSpec(frame_encoding=media_pb2.FRAME_ENCODING_RAW_RGB),
    )
    await asyncio.sleep(sent_at - time.perf_counter())
    sent_at = time.perf_counter()
    accepted_at: float | None = None
    try:
        async for _ in service_pb2_grpc.StillcueServiceStub(channel).Generate(request):  # type: ignore[arg-type]
            accepted_at = accepted_at or time.perf_counter()
    except grpc.aio.AioRpcError as error:
        if accepted_at is not None or error.code() is not grpc.StatusCode.UNAVAILABLE:
            raise
    return Timed(sent_at, accepted_at, time.perf_counter())


def _free_addresses() -> tuple[str, str]:
    with socket.socket() as first, socket.socket() as second:
        for item in (first, second):
            item.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{first.getsockname()[1]}", f"127.0.0.1:{second.getsockname()[1]}"


async def _all_up(metrics: str, cards: int) -> None:
    """Waits until HAProxy sends jobs to every server."""

    def page() -> str:
        try:
            with urllib.request.urlopen(f"http://{metrics}/metrics") as response:
                return str(response.read().decode())
        except OSError:
            return ""

    async with asyncio.timeout(_PATIENCE_SECONDS):
        while f'haproxy_backend_active_servers{{proxy="generate"}} {cards}' not in await asyncio.to_thread(page):
            await asyncio.sleep(0.1)
