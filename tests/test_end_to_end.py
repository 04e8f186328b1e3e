"""A bundle, the real server in its own process, and the real client together."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import stillcue

_PROMPT = "a white cat jumps to the left"


@contextmanager
def _server(bundle: Path) -> Iterator[str]:
    command = ["-m", "server", "--bundle", str(bundle), "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"]
    with subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = re.search(r"grpc=(\S+)", process.stdout.readline())
        assert ready is not None
        try:
            yield ready.group(1)
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0


def _frames(address: str, picture: bytes, seed: int) -> list[bytes]:
    with stillcue.Client(address) as client:
        events = list(client.generate(picture, _PROMPT, step_count=3, seed=seed))
    return [event.data for event in events if isinstance(event, stillcue.Frame)]


def test_a_clip_and_its_summary(tiny_bundle: Path, png: Callable[..., bytes]) -> None:
    with _server(tiny_bundle) as address, stillcue.Client(address) as client:
        capabilities = client.capabilities()
        events = list(client.generate(png(100, 100), _PROMPT, step_count=3, seed=5, preview_every_step_count=2))
        report = client.score_match(png(100, 100), _PROMPT)
    names = [type(event).__name__ for event in events]
    assert names[0] == "Accepted"
    assert names[-1] == "Summary"
    assert names.count("Frame") == 9
    assert names.count("DenoiseProgress") == 3
    assert names.count("MatchReport") == 1
    summary = events[-1]
    assert isinstance(summary, stillcue.Summary)
    assert (summary.settings.width_px, summary.settings.height_px) == (48, 48)  # nearest to a square
    assert summary.settings.seed == 5
    assert summary.bundle_digest == capabilities.model.bundle_digest
    assert capabilities.notices == ("The weights are random: clips are noise.",)
    assert 0 <= report.score <= 100


def test_the_same_seed_gives_the_same_bytes_after_a_restart(tiny_bundle: Path, png: Callable[..., bytes]) -> None:
    picture = png(64, 48)
    with _server(tiny_bundle) as address:
        first, again, other = (_frames(address, picture, seed) for seed in (7, 7, 8))
    with _server(tiny_bundle) as address:
        restarted = _frames(address, picture, 7)
    assert first == again == restarted
    assert first != other


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda bundle: (bundle / "bundle.json").unlink(), ["cannot read", "bundle.json", "python -m export"]),
        (lambda bundle: (bundle / "text_encoder.onnx").unlink(), ["text_encoder.onnx is missing", "copy the bundle"]),
        (lambda bundle: (bundle / "text_encoder.onnx").write_bytes(b"x" * 100), ["text_encoder.onnx", "100 bytes"]),
        (shutil.rmtree, ["cannot read", "python -m export"]),
    ],
    ids=["no manifest", "no graph", "a cut graph", "no folder"],
)
def test_a_damaged_bundle_stops_the_start(
    damage: Callable[[Path], object], words: list[str], tiny_bundle: Path, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(tiny_bundle, bundle)
    damage(bundle)
    command = [sys.executable, "-m", "server", "--bundle", str(bundle), "--listen", "127.0.0.1:0"]
    stopped = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert stopped.returncode == 2
    assert stopped.stdout == ""
    assert len(stopped.stderr.splitlines()) == 1
    assert all(word in stopped.stderr for word in words)
