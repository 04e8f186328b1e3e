"""Servers on Unix sockets, real ones: the socket's file, its permissions, who may take its place, and who may call."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import stillcue
from engine.testing.fake_engine import FakeEngine
from server.lifecycle.unix_sockets import UnixSocket
from server.security.callers import hash_of
from server.settings import SettingInvalid, UnixAddress
from tests.serving import PROMPT, png, served

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
TOKEN = "stillcue_a-secret-of-this-test"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "stillcue.sock"


def command(path: Path | str, *flags: str) -> list[str]:
    free = ["--metrics-listen", "127.0.0.1:0", "--log-level", "error"]
    return [sys.executable, "-m", "server", "--engine", "fake", "--listen", f"unix:{path}", *free, *flags]


def run(arguments: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments, env=os.environ | environment, cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.fixture
def running(path: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command(path), cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = process.stdout.readline().split()
        assert ready[:3] == ["stillcue", "ready", f"grpc=unix:{path}"]
        try:
            yield process
        finally:
            process.kill()


async def test_both_clients_make_a_clip_over_a_socket(path: Path, tmp_path: Path) -> None:
    (tmp_path / "callers").write_text(f"render {hash_of(TOKEN)}\n")
    async with served(FakeEngine(), listen=UnixAddress(str(path)), callers=tmp_path / "callers") as server:
        assert str(server.address) == f"unix:{path}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        for target in (f"unix:{path}", f"unix://{path}"):
            async with stillcue.AsyncClient(target, token=TOKEN) as client:
                events = [event async for event in client.generate(png(), PROMPT)]
                assert isinstance(events[-1], stillcue.Summary)
        async with stillcue.AsyncClient(f"unix:{path}") as stranger:
            with pytest.raises(stillcue.AccessDenied):
                await stranger.capabilities()
    assert list(tmp_path.iterdir()) == [tmp_path / "callers"]


@pytest.mark.parametrize("permissions", [0o600, 0o660, 0o666])
async def test_the_file_has_the_permissions_of_the_setting(permissions: int, path: Path) -> None:
    before = os.umask(0o077)
    try:
        async with served(FakeEngine(), listen=UnixAddress(str(path)), socket_permissions=permissions):
            assert stat.S_IMODE(path.stat().st_mode) == permissions
    finally:
        os.umask(before)


@pytest.mark.parametrize("name", ["a b.sock", "50%.sock", "wüst.sock", "?#.sock", "x"])
async def test_any_name_of_a_file_will_do(name: str, tmp_path: Path) -> None:
    async with served(FakeEngine(), listen=UnixAddress(str(tmp_path / name))) as server:
        assert [item.name for item in tmp_path.iterdir()] == [name]
        async with stillcue.AsyncClient(str(server.address)) as client:
            assert (await client.capabilities()).model.name == "fake"


async def test_the_longest_path_will_do(tmp_path: Path) -> None:
    path = tmp_path / ("x" * (107 - len(str(tmp_path)) - 1))
    assert len(str(path)) == 107
    async with (
        served(FakeEngine(), listen=UnixAddress(str(path))) as server,
        stillcue.AsyncClient(str(server.address)) as client,
    ):
        assert (await client.capabilities()).model.name == "fake"
    assert run(command(f"{path}x")).stderr.endswith(
        "has a path of 108 bytes, and a Unix socket's may have 107; choose a shorter one\n"
    )


def test_client_and_probe_call_a_server_and_its_file_goes_with_it(path: Path, running: subprocess.Popen[str]) -> None:
    called = run([sys.executable, "-m", "stillcue.cli", "capabilities", "--server", f"unix:{path}"])
    assert (called.returncode, called.stderr) == (0, "")
    probe = [sys.executable, "-m", "server.probe"]
    assert run(probe, STILLCUE_LISTEN=f"unix:{path}").returncode == 0
    running.send_signal(signal.SIGTERM)
    assert running.wait(60) == 0
    assert not path.exists()
    gone = run(probe, STILLCUE_LISTEN=f"unix:{path}")
    assert (gone.returncode, gone.stderr) == (1, "not serving: UNAVAILABLE\n")


def test_a_second_server_is_refused_and_the_first_goes_on(path: Path, running: subprocess.Popen[str]) -> None:
    before = path.stat().st_ino
    second = run(command(path))
    assert second.returncode == 2
    assert second.stderr == (
        f"stillcue: --listen unix:{path} cannot be bound: another server listens on it; choose another path\n"
    )
    assert path.stat().st_ino == before
    assert running.poll() is None
    with stillcue.Client(f"unix:{path}") as client:
        assert client.capabilities().model.name == "fake"


def test_the_socket_of_a_killed_server_is_replaced(path: Path, running: subprocess.Popen[str]) -> None:
    running.kill()
    running.wait(60)
    assert path.exists()
    with subprocess.Popen(command(path), cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline().startswith(f"stillcue ready grpc=unix:{path}")
            with stillcue.Client(f"unix:{path}") as client:
                assert client.capabilities().model.name == "fake"
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
    assert not path.exists()


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("file", "the file is no socket"),
        ("folder", "the file is no socket"),
        ("link", "the file is no socket"),
        ("no folder", "no such file or directory"),
        ("datagrams", "protocol wrong type for socket"),
    ],
)
async def test_what_is_in_the_way_is_told_and_kept(kind: str, reason: str, path: Path, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        match kind:
            case "file":
                path.write_text("precious")
            case "folder":
                path.mkdir()
            case "link":
                path.symlink_to(tmp_path / "elsewhere")
            case "no folder":
                path = tmp_path / "none" / "stillcue.sock"
            case "datagrams":
                other.bind(str(path))
        before = sorted(tmp_path.iterdir())
        with pytest.raises(SettingInvalid) as caught:
            async with served(FakeEngine(), listen=UnixAddress(str(path))):
                pass
    assert str(caught.value) == f"--listen unix:{path} cannot be bound: {reason}; choose another path"
    assert sorted(tmp_path.iterdir()) == before


async def test_the_health_port_may_be_a_socket_beside_a_port(path: Path) -> None:
    async with served(FakeEngine(), health_listen=UnixAddress(str(path))) as server:
        told = await asyncio.to_thread(
            run, [sys.executable, "-m", "server.probe"], STILLCUE_HEALTH_LISTEN=f"unix:{path}"
        )
        assert (told.returncode, told.stderr) == (0, "")
        async with stillcue.AsyncClient(str(server.address)) as client:
            assert (await client.capabilities()).model.name == "fake"
    assert not path.exists()


async def test_one_socket_for_both_is_refused(path: Path) -> None:
    address = UnixAddress(str(path))
    with pytest.raises(SettingInvalid, match="another server listens on it"):
        async with served(FakeEngine(), listen=address, health_listen=address):
            pass
    assert not path.exists()


def test_a_server_removes_no_socket_of_its_successor(path: Path) -> None:
    first, second = (UnixSocket(UnixAddress(str(path)), 0o600) for _ in range(2))
    with socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as other:
        one.bind(first.bound_as.path)
        first.publish()  # nobody listens any more
        other.bind(second.bound_as.path)
        other.listen()
        second.publish()
        first.remove()
        assert path.is_socket()
        second.remove()
    assert list(path.parent.iterdir()) == []
