"""What the serving image holds is enough: no torch, no model library, one clip through the real server."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_TRAINING_LIBRARIES = ("torch", "transformers", "diffusers", "onnx", "onnxscript", "safetensors")

_CLIP = """
import importlib.util, re, subprocess, sys
from stillcue import Client
from stillcue.events import Frame, Summary

bundle, picture, *absent = sys.argv[1:]
found = [name for name in absent if importlib.util.find_spec(name)]
assert not found, f"installed all the same: {found}"
command = ["-m", "server", "--bundle", bundle, "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"]
server = subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True)
try:
    address = re.search(r"grpc=(\\S+)", server.stdout.readline()).group(1)
    with Client(address) as client:
        events = list(client.generate(picture, "a cat jumps", step_count=2, seed=1))
finally:
    server.terminate()
    status = server.wait(60)
assert isinstance(events[-1], Summary), events
print(sum(isinstance(event, Frame) for event in events), "frames, status", status)
"""


def test_a_clip_without_training_libraries(tmp_path: Path, tiny_bundle: Path, png: Callable[..., bytes]) -> None:
    source = tmp_path / "source"
    for name in ("pyproject.toml", "README.md", "LICENSE", "constraints.txt"):
        source.mkdir(exist_ok=True)
        shutil.copy(_ROOT / name, source / name)
    for folder in ("clients", "server", "engine"):
        shutil.copytree(_ROOT / folder, source / folder)
    picture = tmp_path / "picture.png"
    picture.write_bytes(png(64, 48))

    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python = environment / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", "constraints.txt"]
    subprocess.run([*install, ".[server]"], cwd=source, check=True)
    clip = [str(python), "-W", "error", "-c", _CLIP, str(tiny_bundle), str(picture), *_TRAINING_LIBRARIES]
    result = subprocess.run(clip, cwd=source, check=True, capture_output=True, text=True)
    assert result.stdout == "9 frames, status 0\n"
