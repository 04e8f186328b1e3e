"""Servers and HAProxy in processes of their own, on ports that stay the same when a server is started again."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from deploy.haproxy.__main__ import main as write_configuration

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("a", "b", "c")
_POLL_SECONDS = 0.02


@dataclass
class Machine:
    """A server, its process of the moment, and how often each job has begun on it, by seed."""

    name: str
    port: int
    command: Sequence[str]
    process: asyncio.subprocess.Process | None = None
    begun: Counter[int] = field(default_factory=Counter)
    _reading: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        """``HOST:PORT`` of the gRPC service."""
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Starts the server and waits for its ready line."""
        flags = ("--listen", self.address, "--metrics-listen", "127.0.0.1:0", "--log-level", "error")
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        command = ("-m", *self.command, *flags, "--replica", self.name)
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, *command, cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE, start_new_session=True
        )
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        if not line.startswith(b"stillcue ready"):
            raise SystemExit(f"server {self.name} ended with status {await self.process.wait()} before it was ready")
        self._reading = asyncio.create_task(self._read(self.process.stdout))

    async def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Sends a signal and waits for the end. A killed server takes its worker process with it."""
        assert self.process is not None
        if self.process.returncode is None and number is signal.SIGKILL:
            os.killpg(self.process.pid, number)
        elif self.process.returncode is None:
            self.process.send_signal(number)
        await self.process.wait()
        if self._reading is not None:
            await self._reading

    async def _read(self, output: asyncio.StreamReader) -> None:
        async for line in output:
            self.begun[int(line.split()[1])] += 1


@dataclass(frozen=True)
class Fleet:
    """Running servers behind a running HAProxy."""

    machines: Sequence[Machine]
    address: str
    metrics_address: str
    proxy: psutil.Process

    def proxy_seconds(self) -> float:
        """Processor seconds of HAProxy so far."""
        times = self.proxy.cpu_times()
        return float(times.user + times.system)

    async def server_of(self, seed: int) -> Machine:
        """Waits until the job with that seed has begun, and returns its server."""
        while True:
            for machine in self.machines:
                if machine.begun[seed]:
                    return machine
            await asyncio.sleep(_POLL_SECONDS)

    def begun_count(self, seed: int) -> int:
        """The number of times that the job with that seed has begun, on all servers."""
        return sum(machine.begun[seed] for machine in self.machines)

    async def is_up(self, machine: Machine) -> None:
        """Waits until HAProxy sends new jobs to a server."""
        line = f'haproxy_server_status{{proxy="generate",server="{machine.name}",state="UP"}} 1'
        while line not in await asyncio.to_thread(self._metrics):
            await asyncio.sleep(_POLL_SECONDS)

    def _metrics(self) -> str:
        try:
            with urllib.request.urlopen(f"http://{self.metrics_address}/metrics") as response:
                return str(response.read().decode())
        except urllib.error.URLError:
            return ""


@asynccontextmanager
async def fleet(folder: Path, command: Sequence[str], *proxy_flags: str, count: int = 3) -> AsyncIterator[Fleet]:
    """``count`` servers of ``python -m COMMAND``, and HAProxy with the project's configuration."""
    program = shutil.which("haproxy")
    if program is None:
        raise SystemExit("haproxy is not installed; on Debian: apt-get install haproxy")
    ports = free_ports(count + 2)
    machines = [Machine(name, port, command) for name, port in zip(NAMES, ports[2:], strict=False)]
    address, metrics_address = (f"127.0.0.1:{port}" for port in ports[:2])
    servers = [f"--server={machine.name}={machine.address}" for machine in machines]
    flags = [*servers, f"--listen={address}", f"--metrics-listen={metrics_address}", f"--out={folder}", *proxy_flags]
    if write_configuration(flags):
        raise SystemExit("the configuration of HAProxy was not written")
    proxy = None
    try:
        await asyncio.gather(*(machine.start() for machine in machines))
        with (folder / "log").open("wb") as log:
            proxy = await asyncio.create_subprocess_exec(
                program, "-db", "-f", str(folder / "haproxy.cfg"), stdout=log, stderr=log
            )
        running = Fleet(machines, address, metrics_address, psutil.Process(proxy.pid))
        for machine in machines:
            await running.is_up(machine)
        yield running
    finally:
        if proxy is not None:
            proxy.kill()
            await proxy.wait()
        for machine in machines:
            if machine.process is not None:
                await machine.end()


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago, each another one."""
    sockets = [socket.socket() for _ in range(count)]
    for item in sockets:
        item.bind(("127.0.0.1", 0))
    ports = [int(item.getsockname()[1]) for item in sockets]
    for item in sockets:
        item.close()
    return ports
