"""A fleet: gated servers in processes of their own, behind a real HAProxy with the project's configuration."""

from __future__ import annotations

import asyncio
import shutil
import urllib.request
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc.aio
import pytest
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.fleet.machines import free_ports
from deploy.haproxy.__main__ import main as write_configuration
from stillcue.proxies import DIRECT
from tests.prometheus_server import answering
from tests.server_processes import FREE_PORTS, ServerProcess, line_of, start_process
from tests.serving import PATIENCE_SECONDS, stub_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from stillcue.v1 import service_pb2_grpc

NAMES = ("a", "b", "c")
# What HAProxy's metric haproxy_server_status tells.
UP, DRAINS, DOWN = "UP", "NOLB", "DOWN"


@dataclass(frozen=True)
class Proxy:
    """A running HAProxy."""

    process: asyncio.subprocess.Process
    address: str
    metrics_address: str
    channel: grpc.aio.Channel

    @property
    def stub(self) -> service_pb2_grpc.StillcueServiceAsyncStub:
        return stub_of(self.channel)

    async def samples(self) -> dict[tuple[str, str, str, str], float]:
        """Values by metric, proxy, server and state; "" for a label that a metric lacks."""

        def get() -> str:
            with urllib.request.urlopen(f"http://{self.metrics_address}/metrics") as response:
                return str(response.read().decode())

        families = text_string_to_metric_families(await asyncio.to_thread(get))
        labels = ("proxy", "server", "state")
        return {
            (sample.name, *(sample.labels.get(label, "") for label in labels)): sample.value  # type: ignore[misc]
            for family in families
            for sample in family.samples
        }

    async def reaches(self, value: float, metric: str, proxy: str, server: str = "", state: str = "") -> None:
        """Waits until a sample has this value."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (await self.samples()).get((f"haproxy_{metric}", proxy, server, state)) != value:
                await asyncio.sleep(0.02)

    async def sees(self, server: str, state: str) -> None:
        """Waits until a server has this state."""
        await self.reaches(1, "server_status", "generate", server, state)


@asynccontextmanager
async def gated_servers(count: int, *flags: str) -> AsyncIterator[dict[str, tuple[ServerProcess, str]]]:
    """Servers by name, with their addresses; each makes a graph call when told."""
    processes = {
        name: await start_process(
            "-m", "tests.gated_server", "--engine", "fake", *FREE_PORTS, "--replica", name, *flags
        )
        for name in NAMES[:count]
    }
    try:
        async with AsyncExitStack() as stack:
            servers = {}
            for name, process in processes.items():
                ready = await line_of(process.stdout)
                assert ready.startswith("stillcue ready "), (await process.communicate())[1].decode()
                address = dict(word.split("=") for word in ready.split(" ")[2:])["grpc"]
                channel = await stack.enter_async_context(grpc.aio.insecure_channel(address, options=DIRECT))
                servers[name] = (ServerProcess(process, channel), address)
            yield servers
    finally:
        for process in processes.values():
            if process.returncode is None:
                process.kill()
            await process.communicate()


@asynccontextmanager
async def proxy(
    folder: Path,
    addresses: dict[str, str],
    *flags: str,
    port: int = 0,
    credentials: grpc.ChannelCredentials | None = None,
) -> AsyncIterator[Proxy]:
    """HAProxy before these servers, on ``port`` or a free one; ``credentials`` None: the channel is in plain text."""
    program = shutil.which("haproxy")
    if program is None:
        pytest.skip("haproxy is not installed")
    ports = free_ports(2)
    address, metrics_address = f"127.0.0.1:{port or ports[0]}", f"127.0.0.1:{ports[1]}"
    servers = [f"--server={name}={server}" for name, server in addresses.items()]
    given = (*servers, f"--listen={address}", f"--metrics-listen={metrics_address}", f"--out={folder}", *flags)
    assert write_configuration(list(given)) == 0
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            program, "-db", "-f", str(folder / "haproxy.cfg"), stdout=log, stderr=log
        )
    channel = (
        grpc.aio.insecure_channel(address, options=DIRECT)
        if credentials is None
        else grpc.aio.secure_channel(address, credentials, options=DIRECT)
    )
    try:
        async with channel:
            await answering(f"http://{metrics_address}/metrics", process, folder / "log")
            yield Proxy(process, address, metrics_address, channel)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
