"""The memory budget end to end: a real server process with a real bundle, observed by the real client."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import stillcue
from engine.api.capabilities import Geometry
from engine.bundle.folder import read_manifest
from engine.memory.measure import demand_of
from engine.memory.placement import Placement

_FLAGS = ("--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0")


@contextmanager
def _server(bundle: Path, *flags: str) -> Iterator[str]:
    command = ["-m", "server", "--bundle", str(bundle), *_FLAGS, *flags]
    with subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = re.search(r"grpc=(\S+)", process.stdout.readline())
        assert ready is not None
        try:
            yield ready.group(1)
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0


def _clip(address: str, picture: bytes) -> tuple[stillcue.Capabilities, list[bytes]]:
    with stillcue.Client(address) as client:
        capabilities = client.capabilities()
        events = list(client.generate(picture, "a cat jumps", width_px=64, height_px=48, step_count=2, seed=5))
    return capabilities, [event.data for event in events if isinstance(event, stillcue.Frame)]


def test_a_server_keeps_to_its_budget_tells_the_plan_and_makes_the_same_clip(
    tiny_bundle: Path, png: Callable[..., bytes]
) -> None:
    manifest, _ = read_manifest(tiny_bundle)
    budget = Placement(demand_of(manifest, Geometry(64, 48, 9), None), None).tightest.peak_bytes
    with _server(tiny_bundle) as address:
        unlimited, expected = _clip(address, png(64, 48))
    with _server(tiny_bundle, "--memory-budget-bytes", str(budget)) as address:
        limited, frames = _clip(address, png(64, 48))
    assert frames == expected
    assert len(frames) == 9
    assert unlimited.memory_budget_bytes is None
    assert limited.memory_budget_bytes == budget
    assert [plan.geometry for plan in limited.memory_plans] == list(limited.geometries)
    plan, everything = limited.memory_plans[0], unlimited.memory_plans[0]
    assert plan.peak_bytes <= budget < everything.peak_bytes
    assert everything.swapped_graphs == ()
    assert "transformer_low" in plan.swapped_graphs
    assert [stage.expert for stage in plan.stages if stage.stage is stillcue.Stage.DENOISE] == [
        stillcue.Expert.HIGH_NOISE,
        stillcue.Expert.LOW_NOISE,
    ]


def test_a_server_does_not_start_where_nothing_fits(tiny_bundle: Path) -> None:
    command = ["-m", "server", "--bundle", str(tiny_bundle), *_FLAGS, "--memory-budget-bytes", str(2**20)]
    stopped = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    assert (stopped.returncode, stopped.stdout) == (2, "")
    (line,) = stopped.stderr.splitlines()
    assert line.startswith("stillcue: tiny does not fit: 64x48, 9 frames needs ")
    assert "but may take 1.0 MB; " in line
