"""Server, worker and export contact nobody, and write nothing but what their settings name."""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

import stillcue
from engine.host.libraries import SWITCHES
from tests.checkpoints import TinyModel, write_checkpoint
from tests.traced_process import ROOT, traced

_PACKAGES = ("engine", "server", "export", "pocket", "benchmarks", "scripts")  # the client imports none of them
_LIBRARIES = {"onnxruntime", "torch", "transformers", "diffusers", "huggingface_hub", "tokenizers"}
_FREE_PORTS = ("--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0")


def test_a_server_and_its_worker_contact_nobody_and_write_nothing(
    tiny_bundle: Path, tmp_path: Path, png: Callable[..., bytes]
) -> None:
    with traced(tmp_path, "-m", "server", "--bundle", tiny_bundle, *_FREE_PORTS) as traced_server:
        process = traced_server.process
        assert process.stdout is not None
        ready = re.search(r"grpc=(\S+)", process.stdout.readline())
        assert ready is not None
        with stillcue.Client(ready.group(1)) as client:
            events = list(client.generate(png(64, 48), "a white cat jumps", step_count=2, preview_every_step_count=1))
            client.score_match(png(64, 48), "a white cat")
        assert isinstance(events[-1], stillcue.Summary)
        assert events[-1].match_report is not None
        (server,) = psutil.Process(process.pid).children()
        server.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 0
    assert traced_server.contacted() == []
    assert traced_server.written() == []
    assert list(traced_server.home.iterdir()) == list(traced_server.temporary.iterdir()) == []
    assert not re.search(r"(?i)warn|error|telemetry", told)


@pytest.mark.walk
def test_an_export_contacts_nobody_and_writes_into_its_folder_only(tmp_path: Path) -> None:
    model = TinyModel(is_5b=True, layer_count=1, head_count=1)
    checkpoint, bundle = write_checkpoint(tmp_path / "checkpoint", model), tmp_path / "bundle"
    size = ("--size", "32x32", "--frames", "5", "--verify", "never")
    with traced(tmp_path, "-m", "export", checkpoint, "--out", bundle, *size) as export:
        _, told = export.process.communicate(timeout=600)
    assert export.process.returncode == 0, told
    assert export.contacted() == []
    own = (f'"{bundle}', f'"{export.temporary}')  # Python's tempfile tries the folder
    assert [call for call in export.written() if not any(folder in call for folder in own)] == []
    assert list(export.home.iterdir()) == list(export.temporary.iterdir()) == []


@pytest.mark.walk
def test_the_tracer_sees_what_the_switch_prevents(tmp_path: Path) -> None:
    """Without the switch ONNX Runtime writes below the user's folder: the tests above would fail."""
    program = "import os, onnxruntime; onnxruntime.InferenceSession(os.environ['MODEL'])"
    model = str(ROOT / "pocket" / "model" / "guide_and_step_64x64x17.onnx")
    with traced(tmp_path, "-c", program, MODEL=model) as chatty:
        chatty.process.communicate(timeout=60)
    assert any(f'"{chatty.home}' in call for call in chatty.written())
    assert list(chatty.home.rglob("*.db"))


def test_the_tracer_sees_who_is_contacted(tmp_path: Path) -> None:
    program = "import socket; socket.socket(type=socket.SOCK_DGRAM).connect(('127.0.0.1', 9))"
    with traced(tmp_path, "-c", program) as talking:
        talking.process.communicate(timeout=60)
    assert len(talking.contacted()) == 1


@pytest.mark.parametrize("before", ["0", "1"])
def test_the_engine_sets_every_switch_whatever_was_set_before(before: str) -> None:
    program = (
        f"import engine, os, sys; print([os.environ[name] for name in {list(SWITCHES)}], 'onnxruntime' in sys.modules)"
    )
    environment = {
        **os.environ,
        **dict.fromkeys(SWITCHES, before),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert told.stdout == f"{list(SWITCHES.values())} False\n"


def _imports(path: Path) -> list[str]:
    """Names of modules that a file imports anywhere, in order."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = []
    for node in sorted(ast.walk(tree), key=lambda node: getattr(node, "lineno", 0)):
        if isinstance(node, ast.Import):
            found += [item.name for item in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found.append(node.module)
    return found


@pytest.mark.parametrize("package", _PACKAGES)
def test_the_switches_are_set_before_a_library_is_imported(package: str) -> None:
    """Python runs the file of a package before any of its modules."""
    files = sorted((ROOT / package).rglob("*.py"))
    imported = {name.partition(".")[0] for file in files for name in _imports(file)} & _LIBRARIES
    first = _imports(ROOT / package / "__init__.py")
    if package == "engine":
        assert "engine.host.libraries" in first
        assert not {name.partition(".")[0] for name in first} & _LIBRARIES
        host = {name.partition(".")[0] for file in (ROOT / "engine" / "host").glob("*.py") for name in _imports(file)}
        assert host <= {*sys.stdlib_module_names, "engine"}
    elif imported:
        assert first[0] == "engine"
