"""A Ray of its own with the application, in processes of its own, as tests and benchmarks use it.

Ray has an environment of its own, which ``make ray`` creates; ``STILLCUE_RAY_PYTHON`` names another one's Python.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import IO, TYPE_CHECKING, Any

import psutil

from benchmarks.fleet.machines import free_ports
from server.jobs.replica import replica_key

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PYTHON = Path(os.environ.get("STILLCUE_RAY_PYTHON") or ROOT / ".venv-ray" / "bin" / "python")
_PATIENCE_SECONDS = 240.0
_STORE_BYTES = 512 * 2**20


@dataclass(frozen=True)
class ReplicaProcess:
    """One replica of a fleet."""

    replica_id: str
    process_id: int
    metrics_address: str

    @property
    def key(self) -> str:
        """The beginning of the resume tokens of its jobs."""
        return replica_key(f"ray/{self.replica_id}")

    def kill(self) -> None:
        """Ends the process and its engine at once, as a lost machine does."""
        process = psutil.Process(self.process_id)
        for found in [process, *process.children(recursive=True)]:
            found.kill()


@dataclass(frozen=True)
class RayFleet:
    """A running fleet at ``address``."""

    address: str
    process: subprocess.Popen[str]
    targets_folder: Path

    def replicas(self) -> list[ReplicaProcess]:
        """The replicas whose engines are open and whose processes live, by id."""
        found = []
        for path in sorted(self.targets_folder.glob("*.json")):
            replica_id, process_id, _ = path.name.split(".")
            if is_alive(int(process_id)):
                (entry,) = json.loads(path.read_text())
                found.append(ReplicaProcess(replica_id, int(process_id), entry["targets"][0]))
        return found

    def command(self, line: str) -> None:
        """Sends a command of ``tests.ray.driver``, and waits until it is done."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        self.wait_for("done")

    def wait_for(self, expected: str) -> None:
        """Waits for a line of the driver; what Ray prints between is passed over."""
        hang = Timer(_PATIENCE_SECONDS, self.process.kill)
        hang.start()
        try:
            assert self.process.stdout is not None
            if not any(line.strip() == expected for line in iter(self.process.stdout.readline, "")):
                raise RuntimeError(f"Ray ended before it was {expected}")
        finally:
            hang.cancel()


@contextmanager
def ray_fleet(
    *, options: dict[str, Any] | None = None, args: dict[str, Any] | None = None, **environment: str
) -> Iterator[RayFleet]:
    """Serves the steered fake engine until the block ends. ``options`` are those of the deployment: two replicas."""
    folder = Path(tempfile.mkdtemp(prefix="sc-ray-"))  # short: Ray's sockets lie in it
    targets_folder = folder / "targets"
    grpc_port, http_port = free_ports(2)
    config = {
        "folder": str(folder / "ray"),
        "store_bytes": _STORE_BYTES,
        "grpc_port": grpc_port,
        "http_port": http_port,
        "options": options or {"num_replicas": 2},
        "args": {"targets_folder": str(targets_folder), **(args or {})},
    }
    variables = {"STILLCUE_ENGINE": "fake", "STILLCUE_VIDEO_ENCODERS": "none", **environment}
    try:
        with ray_process(["-m", "tests.ray.driver", json.dumps(config)], folder, **variables) as process:
            fleet = RayFleet(f"127.0.0.1:{grpc_port}", process, targets_folder)
            fleet.wait_for("ready")
            yield fleet
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def ray_process(arguments: list[str], folder: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Python with ``arguments`` in Ray's environment; what Ray left is ended with it. Its log is shown after an error.

    ``folder`` is the home folder of the process.
    """
    if not PYTHON.exists():
        raise RuntimeError(f"{PYTHON} is missing: `make ray` installs Ray, or set STILLCUE_RAY_PYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("STILLCUE_", "PYTEST_"))}
    variables = {
        "STILLCUE_ALLOW_INSECURE": "true",
        "STILLCUE_METRICS_LISTEN": "127.0.0.1:0",
        "STILLCUE_DEVICE": "cpu",
        "RAY_SERVE_GRPC_MAX_MESSAGE_SIZE": "9437184",
        "RAY_SERVE_USE_GRPC_BY_DEFAULT": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "OMP_NUM_THREADS": "1",
        "HOME": str(folder),  # Ray writes a token there
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "clients" / "python")]),
        **environment,
    }
    with (folder / "log").open("w+") as log:
        process = subprocess.Popen(
            [str(PYTHON), *arguments],
            cwd=ROOT,
            env={**kept, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        except BaseException:
            _show_end(log)
            raise
        finally:
            _stop(process)


def is_alive(process_id: int) -> bool:
    """A process that ended and was not waited for yet does not live."""
    try:
        return psutil.Process(process_id).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _stop(process: subprocess.Popen[str]) -> None:
    try:
        children = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        children = []
    hang = Timer(_PATIENCE_SECONDS, process.kill)
    hang.start()
    process.communicate()  # the driver ends with its input
    hang.cancel()
    _, alive = psutil.wait_procs(children, timeout=5)
    for child in alive:
        child.kill()


def _show_end(log: IO[str]) -> None:
    log.seek(0)
    sys.stderr.write(log.read()[-8_000:])
