"""docs/security.md is true: its commands run, and its error reasons, settings and container options exist."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.host.libraries import SWITCHES
from server.errors.rules import RULES
from server.settings import setting_rows

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
(COMMANDS,) = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_commands_work_as_they_stand(tmp_path: Path) -> None:
    *before, serve, call = COMMANDS.replace("\\\n", "").splitlines()
    port = free_port()
    names = tmp_path / "bin"
    names.mkdir()
    for name, command in (("python", sys.executable), ("stillcue", f"{sys.executable} -m stillcue.cli")):
        (names / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (names / name).chmod(0o755)
    environment = os.environ | {
        "PATH": f"{names}:{os.environ['PATH']}",
        "PYTHONPATH": f"{ROOT}:{ROOT / 'clients' / 'python'}",
        "STILLCUE_METRICS_LISTEN": "127.0.0.1:0",
    }

    def shell(line: str) -> subprocess.CompletedProcess[str]:
        line = line.replace("50051", str(port))
        return subprocess.run(
            ["bash", "-euc", line], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    for line in before:
        done = shell(line)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "tls" / "render.token").stat().st_mode & 0o077 == 0
    serving = serve.replace("50051", str(port)).removesuffix("&").split()
    with subprocess.Popen(serving, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdout.readline().startswith(f"stillcue ready grpc=0.0.0.0:{port}")
        told = shell(call)
        nobody = shell(call.replace("--token-file tls/render.token", ""))
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
    assert told.returncode == 0, told.stderr
    assert "limits" in told.stdout
    assert nobody.returncode == 1
    assert "access denied: this server needs a token" in nobody.stderr


def test_named_reasons_and_settings_exist() -> None:
    reasons = {rule.reason for rule in RULES.values()}
    names = set(re.findall(r"`([A-Z]+_[A-Z_]+)`", PAGE))
    assert names >= set(SWITCHES)
    named = names - {"GRPC_TRACE", *SWITCHES}
    assert {name for name in named if not name.startswith("STILLCUE_")} <= reasons
    assert {rule.reason for kind, rule in RULES.items() if "Token" in kind.__name__} <= named
    flags = {row.flag for row in setting_rows()}
    others = {"--token-file", "--max-jobs", "--server", "--tls-ca", "--engine", "--read-only", "--cap-drop"}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE)) <= flags | others
    security = {row.flag for row in setting_rows() if re.match(r"--(tls|caller|health)", row.flag)}
    assert {flag for flag in security if flag not in PAGE} == set()


@pytest.mark.skipif(os.name != "posix", reason="a folder without the right to write is what Linux calls one")
def test_the_server_writes_nothing(tmp_path: Path) -> None:
    """What the image is told: the same environment, in folders that cannot be written to. Pipes are no files."""
    image = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"^USER 10001$", image, re.MULTILINE)
    assert "STILLCUE_ALLOW_INSECURE=true \\" not in image
    variables = re.findall(r"(STILLCUE_\w+|PYTHON\w+)=(\S+)", image.partition("ENV ")[2].partition("EXPOSE")[0])
    assert dict(variables)["STILLCUE_HEALTH_LISTEN"] == "127.0.0.1:50052"
    environment = os.environ | dict(variables)
    environment |= {name: "127.0.0.1:0" for name, value in variables if ":" in value}
    environment |= {"STILLCUE_ENGINE": "fake", "PYTHONPATH": f"{ROOT}:{ROOT / 'clients' / 'python'}"}
    environment |= {"TMPDIR": "/nonexistent", "HOME": "/nonexistent"}
    tmp_path.chmod(0o500)
    trace = "import sys; opened = []; sys.addaudithook(lambda event, args: opened.append(args[0]) if event == 'open' "
    trace += "and isinstance(args[1], str) and not isinstance(args[0], int) and set(args[1]) & set('wax+') else None); "
    trace += "from server.__main__ import main; code = main(); sys.stderr.write(f'written={opened}'); sys.exit(code)"
    with subprocess.Popen(
        [sys.executable, "-c", trace],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        assert server.stdout.readline().startswith("stillcue ready")
        time.sleep(0.1)
        server.send_signal(signal.SIGTERM)
        _, log = server.communicate(timeout=60)
    assert server.returncode == 0
    assert log.endswith("written=[]")
