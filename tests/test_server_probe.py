"""The container's health check against real servers."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent


def _probe(**environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "server.probe"]
    return subprocess.run(
        command, env={**os.environ, **environment}, cwd=ROOT, check=False, capture_output=True, text=True
    )


@contextmanager
def _serving(host: str, *flags: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Gives a server that listens on ``host``, and its port."""
    command = ["-m", "server", "--engine", "fake", "--listen", f"{host}:0", "--metrics-listen", "127.0.0.1:0", *flags]
    with subprocess.Popen([sys.executable, *command], cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        ready = re.search(rf"grpc={re.escape(host)}:(\d+)", server.stdout.readline())
        assert ready is not None
        try:
            yield server, ready[1]
        finally:
            server.send_signal(signal.SIGTERM)
            assert server.wait(60) == 0


@contextmanager
def _dead_proxy() -> Iterator[dict[str, str]]:
    """Gives the variables of a proxy at a port that is taken and on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        yield dict.fromkeys(("grpc_proxy", "https_proxy", "http_proxy", "HTTP_PROXY", "ALL_PROXY"), url)


def test_the_probe_tells_a_serving_server_from_none() -> None:
    with _serving("127.0.0.1") as (_, port):
        serving = _probe(STILLCUE_LISTEN=f"127.0.0.1:{port}")
        assert (serving.returncode, serving.stderr) == (0, "")
        with _dead_proxy() as variables:
            assert _probe(STILLCUE_LISTEN=f"127.0.0.1:{port}", **variables).returncode == 0
    gone = _probe(STILLCUE_LISTEN=f"127.0.0.1:{port}")
    assert (gone.returncode, gone.stderr) == (1, "not serving: UNAVAILABLE\n")


@pytest.mark.parametrize("host", ["localhost", "[::1]", "0.0.0.0", "[::]", "127.0.0.2"])
def test_the_probe_calls_the_address_on_which_the_server_listens(host: str) -> None:
    with _serving(host, "--allow-insecure") as (_, port):
        told = _probe(STILLCUE_LISTEN=f"{host}:{port}", STILLCUE_ALLOW_INSECURE="true")
        assert (told.returncode, told.stderr) == (0, "")


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"STILLCUE_LISTEN": "127.0.0.1:0"}, "the probe cannot know the port of 127.0.0.1:0"),
        ({"STILLCUE_HEALTH_LISTEN": "http://127.0.0.1:1"}, "is not HOST:PORT; leave out http://: 127.0.0.1:1"),
        (
            {"STILLCUE_TLS_CERTIFICATE_CHAIN": "chain.pem", "STILLCUE_TLS_PRIVATE_KEY": "key.pem"},
            "the probe does not use TLS; set STILLCUE_HEALTH_LISTEN=127.0.0.1:50052 for server and probe",
        ),
    ],
)
def test_the_probe_says_what_is_set_wrongly(environment: dict[str, str], message: str) -> None:
    told = _probe(**environment)
    assert told.returncode == 2
    assert message in told.stderr
