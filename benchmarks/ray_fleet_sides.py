"""The sides of ``benchmarks.ray_fleet``: one server, two behind HAProxy, two replicas of Ray Serve, on the same engine.

Each side is a context manager that gives an address.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.ray.fleet import ROOT, RayFleet, free_ports, ray_fleet

if TYPE_CHECKING:
    from collections.abc import Iterator

REPLICA_COUNT = 2
WAITING_LIMIT = 32
_READY_SECONDS = 30.0


@contextmanager
def direct(name: str = "one") -> Iterator[str]:
    """One server."""
    process = subprocess.Popen(
        [
            sys.executable, "-m", "tests.ray.plain_server", "--engine", "fake", "--replica", name,
            "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--log-level", "error",
        ],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        ready = process.stdout.readline().split()
        if ready[:2] != ["stillcue", "ready"]:
            raise RuntimeError("the server did not start; its message is above")
        yield dict(word.split("=") for word in ready[2:])["grpc"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate()


@contextmanager
def behind_haproxy() -> Iterator[str]:
    """Two servers behind HAProxy, with the configuration of ``deploy.haproxy``."""
    program = shutil.which("haproxy")
    if program is None:
        raise RuntimeError("haproxy is not installed: apt-get install haproxy, or give --without-haproxy")
    port, metrics_port = free_ports(2)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        names = [f"server{number}" for number in range(REPLICA_COUNT)]
        servers = [f"--server={name}={stack.enter_context(direct(name))}" for name in names]
        flags = [f"--listen=127.0.0.1:{port}", f"--metrics-listen=127.0.0.1:{metrics_port}", f"--out={folder}"]
        subprocess.run(
            [sys.executable, "-m", "deploy.haproxy", *servers, *flags, f"--queue-jobs={WAITING_LIMIT}"],
            cwd=ROOT, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([program, "-db", "-f", str(folder / "haproxy.cfg")], stdout=log, stderr=log)
        try:
            _wait_until_up(f"http://127.0.0.1:{metrics_port}/metrics")
            yield f"127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()


@contextmanager
def on_ray() -> Iterator[RayFleet]:
    """Two replicas of Ray Serve."""
    with ray_fleet(
        options={"num_replicas": REPLICA_COUNT}, args={"waiting_limit": WAITING_LIMIT}, STILLCUE_LOG_LEVEL="error"
    ) as fleet:
        yield fleet


def _wait_until_up(url: str) -> None:
    """Waits until HAProxy has found every server healthy."""
    until = time.monotonic() + _READY_SECONDS
    up = [f'haproxy_server_status{{proxy="generate",server="server{n}",state="UP"}} 1' for n in range(REPLICA_COUNT)]
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(url) as response:
                text = response.read().decode()
        except (urllib.error.URLError, ConnectionError):
            text = ""
        if all(line in text for line in up):
            return
        time.sleep(0.05)
    raise RuntimeError("HAProxy did not find its servers healthy")
