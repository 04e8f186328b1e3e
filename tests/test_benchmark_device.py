"""The card's benchmark on small models and a CPU: every step leaves figures, or says why it left none."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from benchmarks.device.isolation import run_apart
from benchmarks.device.record import Record
from benchmarks.device.steps import STEPS, Setting, Step

_ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.walk
def test_every_step_leaves_figures_or_a_reason(tmp_path: Path) -> None:
    """One run for all of it: it imports and traces for a minute."""
    file = tmp_path / "device.json"
    options = ("--device", "cpu", "--tiny", "--json", str(file), "--budget", "1700")
    command = [sys.executable, "-m", "benchmarks.device", *options]
    subprocess.run(command, cwd=_ROOT, check=True, capture_output=True, timeout=1800)
    content = json.loads(file.read_text(encoding="utf-8"))
    assert content["name"] == "device"
    assert content["machine"]["torch"] != "none"
    assert content["machine"]["card"] == "none"
    assert "measure nothing" in content["caveats"]
    assert list(content["steps"]) == list(STEPS)
    for number, step in content["steps"].items():
        assert step["errors"] == {}
        assert all(value > 0 for value in step["figures"].values())
        assert step["figures"], number
        assert all(step["skipped"].values())
    _check_differences({number: step["figures"] for number, step in content["steps"].items()})


def _check_differences(figures: Mapping[str, Mapping[str, float]]) -> None:
    """Exporter and libraries compute the same."""
    assert figures["1"]["psnr_to_cpu_db"] == 100.0
    assert figures["2"]["exporter_to_diffusers_difference"] < 0.02  # both round to bf16
    assert figures["3"]["decode_difference"] < 1e-4
    assert figures["3"]["encode_difference"] < 1e-4
    assert figures["4"]["difference"] < 0.01
    assert figures["5"]["difference"] < 0.02
    assert all(value < 0.02 for name, value in figures["6"].items() if name.endswith("_error"))


@pytest.mark.parametrize(
    ("module", "words"),
    [
        pytest.param("benchmarks.none_of_this_name", "ModuleNotFoundError", marks=pytest.mark.walk),
        ("this", "no attribute 'run'"),
    ],
)
def test_a_step_that_fails_leaves_its_error(tmp_path: Path, module: str, words: str) -> None:
    file = tmp_path / "device.json"
    record = Record(file)
    record.begin("0", "a step")
    step = Step("a step", module, 0, 30)
    run_apart("0", step, Setting("cpu", is_tiny=True), 60, record)
    assert words in json.loads(file.read_text())["steps"]["0"]["errors"]["all"]


def test_a_step_that_hangs_is_ended(tmp_path: Path) -> None:
    file = tmp_path / "device.json"
    record = Record(file)
    record.begin("0", "a step")
    started = time.monotonic()
    run_apart("0", Step("a step", "tests.hanging_step", 0, 30), Setting("cpu", is_tiny=True), 5, record)
    assert time.monotonic() - started < 30
    step = json.loads(file.read_text())["steps"]["0"]
    assert step["figures"] == {"before": 1.0}
    assert step["errors"] == {"all": "ended after 5 s"}


def test_other_steps_of_a_file_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "device.json"
    first = Record(file)
    first.begin("0", "a step")
    first.add("0", "figures", "a_seconds", 2.0)
    second = Record(file, is_continued=True)
    second.begin("1", "another")
    second.add("1", "skipped", "all", "no reason")
    content = json.loads(file.read_text())
    assert content["steps"]["0"]["figures"] == {"a_seconds": 2.0}
    assert "nothing about TensorRT" in content["caveats"]
