"""The container's health check against a real server."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys


def _probe(port: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "STILLCUE_LISTEN": f"127.0.0.1:{port}"}
    command = [sys.executable, "-m", "server.probe"]
    return subprocess.run(command, env=environment, check=False, capture_output=True, text=True)


def test_the_probe_tells_a_serving_server_from_none() -> None:
    command = ["-m", "server", "--engine", "fake", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"]
    with subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        ready = re.search(r"grpc=127\.0\.0\.1:(\d+)", server.stdout.readline())
        assert ready is not None
        assert _probe(ready.group(1)).returncode == 0
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
    gone = _probe(ready.group(1))
    assert (gone.returncode, gone.stderr) == (1, "not serving: UNAVAILABLE\n")
