"""The commands of docs/fleet.md start three servers and HAProxy, and make a clip through them."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from benchmarks.fleet.machines import free_ports
from tests.test_deploy_haproxy import EXAMPLE_FLAGS

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "fleet.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
PORTS = (50050, 50051, 50052, 50053, 9464, 9465, 9466, 8404)


def test_the_page_gives_the_command_of_the_example() -> None:
    assert BLOCKS[1].split()[3:-2] == [part for flag in EXAMPLE_FLAGS for part in flag.split("=", 1)]


@pytest.mark.walk
async def test_the_commands_of_the_page_make_a_clip(tmp_path: Path) -> None:
    commands = BLOCKS[0]
    taken = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    for port, free in taken.items():
        assert str(port) in commands or port == 50050
        commands = re.sub(rf"\b{port}\b", str(free), commands)
    # HAProxy's own addresses are defaults on the page.
    commands = commands.replace(
        "--out haproxy",
        f"--listen 127.0.0.1:{taken[50050]} --metrics-listen 127.0.0.1:{taken[8404]} --out {tmp_path}/haproxy",
    )
    commands = commands.replace(" haproxy/haproxy.cfg", f" {tmp_path}/haproxy/haproxy.cfg")
    commands = commands.replace("clip.mp4", str(tmp_path / "clip.mp4"))
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-euc",
        commands,
        cwd=ROOT,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        start_new_session=True,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert await asyncio.wait_for(process.wait(), 120) == 0
        assert (tmp_path / "clip.mp4").stat().st_size > 0
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
