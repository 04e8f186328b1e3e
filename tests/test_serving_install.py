"""The serving image has all it needs without torch, model libraries or PyAV: one clip through the real server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.serving_libraries import link_serving_libraries

_ROOT = Path(__file__).resolve().parent.parent
_ABSENT_LIBRARIES = ("torch", "transformers", "diffusers", "onnx", "onnxscript", "safetensors", "av")

_CLIP = """
import importlib.util, re, subprocess, sys
from stillcue import Client, InvalidRequest, VideoContainer
from stillcue.events import Frame, Summary

bundle, picture, *absent = sys.argv[1:]
found = [name for name in absent if importlib.util.find_spec(name)]
assert not found, f"installed all the same: {found}"
command = ["-S", "-m", "server", "--bundle", bundle, "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"]
server = subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True)
try:
    address = re.search(r"grpc=(\\S+)", server.stdout.readline()).group(1)
    with Client(address) as client:
        events = list(client.generate(picture, "a cat jumps", step_count=2, seed=1))
        codecs = client.capabilities().video_codecs
        try:
            list(client.generate(picture, "a cat jumps", video_container=VideoContainer.FRAGMENTED_MP4))
        except InvalidRequest as error:
            refusal = str(error)
finally:
    server.terminate()
    status = server.wait(60)
assert isinstance(events[-1], Summary), events
print(sum(isinstance(event, Frame) for event in events), "frames, status", status)
print(codecs, refusal)
"""


def test_a_clip_without_training_libraries_and_pyav(
    tmp_path: Path, tiny_bundle: Path, png: Callable[..., bytes]
) -> None:
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    link_serving_libraries(libraries)
    source = tmp_path / "source"
    source.mkdir()
    for folder in ("server", "engine"):
        (source / folder).symlink_to(_ROOT / folder)
    (libraries / "stillcue").symlink_to(_ROOT / "clients" / "python" / "stillcue")
    picture = tmp_path / "picture.png"
    picture.write_bytes(png(64, 48))

    # -S: without the environment's own libraries.
    clip = [sys.executable, "-S", "-W", "error", "-c", _CLIP, str(tiny_bundle), str(picture), *_ABSENT_LIBRARIES]
    environment = {"PATH": "", "PYTHONPATH": str(libraries)}
    result = subprocess.run(clip, cwd=source, env=environment, check=True, capture_output=True, text=True)
    assert result.stdout.splitlines() == [
        "9 frames, status 0",
        "() stream.video_container: is set, and this server encodes no video: PyAV is not installed; its operator can "
        "install the extra `video`. Leave it unset for frames",
    ]
