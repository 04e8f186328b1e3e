"""Whole ways of an evaluation: killed and resumed, through a real server, twice to the same page."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import stillcue
from evaluation.__main__ import main
from tests.evaluation.clips import clips_of
from tests.interrupts import take_interrupts

pytestmark = pytest.mark.walk

_PLAN = """
name = "walk"
world = "pocket"
seed = 5
count = 4

[[arm]]
id = "matched"
group = "sentence"
title = "fits"

[[arm]]
id = "small"
group = "picture"
title = "small"
picture = { size = 0.15 }
right_remedy = "picture"
advice = "subject_large"

[[arm]]
id = "guidance_12"
group = "guidance"
title = "guidance 12"
sampling = { guidance_scale = 12 }
right_remedy = "guidance"

[[remedy]]
of = ["small", "guidance_12"]
remedies = ["picture", "seed"]
"""
_SECONDS = 240.0


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plan") / "plan.toml"
    path.write_text(_PLAN, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def finished(plan: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "out"
    assert main(_arguments(plan, folder)) == 0
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server of the embedded bundle."""
    socket = tmp_path_factory.mktemp("server") / "socket"
    command = [sys.executable, "-m", "server", "--bundle", "pocket/model", "--listen", f"unix:{socket}"]
    with subprocess.Popen([*command, "--metrics-listen", "127.0.0.1:0", "--engine-thread-count", "1"]) as process:
        _wait_for(lambda: _is_serving(f"unix:{socket}"), process)
        yield f"unix:{socket}"
        process.send_signal(signal.SIGTERM)


def _arguments(plan: Path, out: Path, *options: str) -> list[str]:
    return ["run", "--bundle", "pocket/model", "--plan", str(plan), "--out", str(out), "--jobs", "2", *options]


def _is_serving(address: str) -> bool:
    with stillcue.Client(address) as client:
        try:
            client.capabilities()
        except stillcue.Unavailable:
            return False
    return True


def _wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    ends_at = time.monotonic() + _SECONDS
    while not condition():
        assert process.poll() is None
        assert time.monotonic() < ends_at
        time.sleep(0.05)


def test_a_killed_run_goes_on_to_the_same_clips(plan: Path, finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    clips = out / "clips.jsonl"
    command = [sys.executable, "-m", "evaluation", *_arguments(plan, out)]
    with subprocess.Popen(command, start_new_session=True) as process:
        _wait_for(lambda: clips.exists() and clips.read_bytes().count(b"\n") >= 3, process)
        os.killpg(process.pid, signal.SIGKILL)
    made = clips.read_bytes().count(b"\n")
    assert made < len(clips_of(finished))
    assert main(_arguments(plan, out)) == 0
    assert clips_of(out) == clips_of(finished)
    assert (out / "outcomes.jsonl").read_bytes() == (finished / "outcomes.jsonl").read_bytes()


def test_an_interrupted_run_says_how_to_go_on(plan: Path, tmp_path: Path) -> None:
    clips = tmp_path / "out" / "clips.jsonl"
    command = [sys.executable, "-m", "evaluation", *_arguments(plan, tmp_path / "out")]
    take_interrupts()
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        _wait_for(lambda: clips.exists() and clips.read_bytes().count(b"\n") >= 1, process)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=_SECONDS)
    assert process.returncode == 130
    assert b"interrupted; every finished clip is kept, and the same command goes on" in told
    assert b"Traceback" not in told


def test_a_server_gives_the_clips_of_the_bundle(plan: Path, finished: Path, tmp_path: Path, server: str) -> None:
    assert main(_arguments(plan, tmp_path / "out", "--server", server)) == 0
    there, here = clips_of(tmp_path / "out"), clips_of(finished)
    assert there.keys() == here.keys()
    for key, clip in here.items():
        for name, value in clip.items():
            if name in {"pair_factors", "clip_factors", "score", "chance", "clip_chance"}:
                assert there[key][name] == pytest.approx(value, abs=2e-6), key  # rounded to six digits
            else:
                assert there[key][name] == value, (key, name)


def test_a_server_of_another_bundle_is_refused(
    plan: Path, tmp_path: Path, server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    shutil.copytree("pocket/model", other)
    manifest = other / "bundle.json"
    manifest.write_text(manifest.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    arguments = ["run", "--bundle", str(other), "--plan", str(plan), "--out", str(tmp_path / "out"), "--server", server]
    assert main(arguments) == 1
    assert "serves another bundle" in capsys.readouterr().err


def test_the_same_run_gives_the_same_page(finished: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):
        page, pictures = tmp_path / name / "evidence.md", tmp_path / name / "pictures"
        assert main(["report", str(finished), "--page", str(page), "--pictures", str(pictures)]) == 0
    first = {path.name: path.read_bytes() for path in (tmp_path / "first").rglob("*") if path.is_file()}
    second = {path.name: path.read_bytes() for path in (tmp_path / "second").rglob("*") if path.is_file()}
    assert "evidence.md" in first
    assert first == second
