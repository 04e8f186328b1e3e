"""The resources of an export are estimated, and an export that lacks them is refused before it writes anything."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from export.__main__ import main


def _arguments(checkpoint: Path, out: Path, *options: str) -> list[str]:
    return [str(checkpoint), "--out", str(out), "--size", "48x48", "--frames", "9", *options]


@pytest.fixture
def checkpoint(tiny_bundle: Path) -> Path:
    return tiny_bundle.parent / "checkpoint"


def test_a_dry_run_tells_the_plan_and_writes_nothing(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bundle"
    assert main(_arguments(checkpoint, out, "--dry-run", "--gpu", "rtx3090", "--gpu", "rtx4090")) == 0
    said = capsys.readouterr().out
    lines = said.splitlines()
    table = next(number for number, line in enumerate(lines) if line.startswith("component "))
    rows = {line.split()[0]: line.split()[1:3] for line in lines[table + 1 : table + 5]}
    assert rows == {
        "text_encoder": ["int8", "1"],
        "vae": ["fp16", "4"],
        "transformer": ["int4", "1"],
        "transformer_2": ["int4", "1"],
    }
    assert "disk: " in said
    assert "memory to run: " in said
    assert not out.exists()


def test_a_dry_run_states_the_bytes_that_an_export_then_writes(
    checkpoint: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    from engine.api.capabilities import Geometry
    from export.bundle.check import check
    from export.bundle.plan import ExportPlan
    from export.weights.layouts.opening import open_checkpoint
    from export.weights.serving_defaults import FAMILY_DEFAULTS

    opened = open_checkpoint(checkpoint)
    plan = ExportPlan(opened, tmp_path / "bundle", (Geometry(48, 48, 9),), FAMILY_DEFAULTS[opened.family], "tiny")
    estimate = check(plan).estimate
    for item in estimate.components:
        size = (tiny_bundle / "weights" / f"{item.name}.safetensors").stat().st_size
        assert 0 < size - item.written_bytes < 40_000, item.name  # the file's header


@pytest.mark.parametrize(
    ("options", "lever"),
    [
        ((), "put the checkpoint's folder inside it, so that nothing is copied"),
        (("--precision", "fp16"), "take a lower precision or fewer sizes"),
    ],
)
def test_a_disk_that_will_not_do(
    checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    lever: str,
) -> None:
    usage = SimpleNamespace(total=10**12, used=10**12 - 10**8, free=10**8)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    out = tmp_path / "bundle"
    assert main(_arguments(checkpoint, out, "--dry-run", *options)) == 1
    said = capsys.readouterr().err
    assert f"--out {out}: 0." in said
    assert " are needed and 0.10 GB are free on that disk" in said
    assert lever in said


def test_a_machine_without_the_memory_to_compile(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("export.bundle.resource_estimate.available_memory_bytes", lambda: 10**9)
    assert main(_arguments(checkpoint, tmp_path / "bundle", "--dry-run", "--gpu", "rtx4090")) == 1
    said = capsys.readouterr().err
    assert "--gpu: compiling " in said
    assert "of memory and 1.00 GB are available; take a lower --precision" in said


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (("--gpu", "rtx9999"), "--gpu rtx9999: unknown; give one of rtx3090, rtx4090"),
        (
            ("--gpu", "rtx3090", "--precision", "fp8"),
            "computes in fp8, which sm_86 does not have; take --prec",
        ),
        (("--gpu", "rtx4090", "--precision", "int8"), "run `python -m export.quantise.calibrate` and give its folder"),
        (("--lora-high", "absent.safetensors:0.5"), "adapter absent.safetensors: no such file"),
        (("--distilled",), "--distilled: describes adapters for few steps; give the adapters with --lora-high"),
    ],
)
def test_choices_that_do_not_go_together(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], fault: str
) -> None:
    assert main(_arguments(checkpoint, tmp_path / "bundle", *options)) == 1
    assert fault in capsys.readouterr().err
    assert not (tmp_path / "bundle").exists()
