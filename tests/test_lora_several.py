"""Several adapters for one transformer: all are fused in the order given, listed, and part of every digest."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from engine.api.capabilities import Geometry
from engine.bundle.folder import file_sha256
from export.__main__ import main as export
from export.bundle.check import check
from export.bundle.plan import ExportPlan
from export.options import AdapterOption, adapter_options, add_adapter_options
from export.quantise.calibrate import main as calibrate
from export.quantise.calibration import calibration_digest
from export.weights.layouts.opening import open_checkpoint
from export.weights.lora import FusedWeights, open_adapters
from export.weights.serving_defaults import FAMILY_DEFAULTS
from tests.checkpoints import TinyModel, write_checkpoint
from tests.quantising import Tensors

_MODULE = "blocks.0.attn1.to_q"


def _adapter(file: Path, seed: int, rank: int = 4) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    tensors = {
        f"transformer.{_MODULE}.lora_A.weight": torch.randn(rank, 24, generator=generator),
        f"transformer.{_MODULE}.lora_B.weight": torch.randn(24, rank, generator=generator),
    }
    save_file(tensors, file)
    return tensors


def _product(tensors: Mapping[str, Tensor]) -> Tensor:
    down, up = (tensors[f"transformer.{_MODULE}.lora_{half}.weight"].double() for half in "AB")
    return up @ down


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("several") / "checkpoint", TinyModel())


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    first, second = tmp_path / "first.safetensors", tmp_path / "c:second.safetensors"
    _adapter(first, 1)
    _adapter(second, 2, rank=2)
    return first, second


def _arguments(checkpoint: Path, out: Path, *options: object) -> list[str]:
    size = ["--size", "48x48", "--frames", "5"]
    return [str(checkpoint), "--out", str(out), *size, *map(str, options)]


def _plan(checkpoint: Path, out: Path, *options: object) -> ExportPlan:
    parser = argparse.ArgumentParser()
    add_adapter_options(parser)
    opened = open_checkpoint(checkpoint)
    return ExportPlan(
        checkpoint=opened,
        out=out,
        geometries=(Geometry(48, 48, 5),),
        defaults=FAMILY_DEFAULTS[opened.family],
        name="tiny",
        adapters=adapter_options(parser.parse_args([str(option) for option in options])),
    )


def test_an_export_fuses_every_adapter_and_lists_them_in_order(
    checkpoint: Path, files: tuple[Path, Path], tmp_path: Path
) -> None:
    first, second = files
    plan = _plan(
        checkpoint, tmp_path / "bundle", "--lora-high", f"{second}:-0.5", "--lora-high", first, "--lora-low", first
    )
    transformers = check(plan).components[-2:]
    listed = [item for component in transformers for item in component.adapters]
    assert [(item.stage, item.file_name, item.strength, item.sha256) for item in listed] == [
        ("transformer_high", "c:second.safetensors", -0.5, file_sha256(second)),
        ("transformer_high", "first.safetensors", 1.0, file_sha256(first)),
        ("transformer_low", "first.safetensors", 1.0, file_sha256(first)),
    ]
    products = [_product(load_file(file)) for file in files]
    for component, added in zip(transformers, (products[0] - 0.5 * products[1], products[0]), strict=True):
        component.weights.write(lambda _: None)
        folder = checkpoint / component.component.name
        base = load_file(folder / "diffusion_pytorch_model.safetensors")[f"{_MODULE}.weight"]
        fused = load_file(component.weights.file)[f"{_MODULE}.weight"]
        torch.testing.assert_close(fused.double(), base.double() + added, rtol=0, atol=1e-5)


def test_a_calibration_is_of_these_adapters_in_this_order(
    checkpoint: Path, files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = files
    folder = tmp_path / "calibration"
    given = ("--lora-high", first, "--lora-high", f"{second}:0.8")
    size = ("--size", "32x32", "--frames", "5", "--samples", "1")
    assert calibrate([str(checkpoint), "--out", str(folder), *size, *map(str, given)]) == 0
    others = [
        ("--lora-high", f"{second}:0.8", "--lora-high", first),
        ("--lora-high", first, "--lora-high", f"{second}:0.7"),
        ("--lora-high", f"{second}:0.8"),
        (*given, "--lora-low", first),
    ]
    quantised = ("--dry-run", "--precision", "int8", "--calibration", folder)
    assert export(_arguments(checkpoint, tmp_path / "bundle", *quantised, *given)) == 0
    for other in others:
        assert export(_arguments(checkpoint, tmp_path / "bundle", *quantised, *other)) == 1
        assert "was measured on other weights than these; run `python -m export.quantise" in capsys.readouterr().err


def test_the_digest_of_a_calibration_follows_order_and_strength() -> None:
    choices = [
        [],
        [("a", 1.0)],
        [("b", 1.0)],
        [("a", 1.0), ("b", 1.0)],
        [("b", 1.0), ("a", 1.0)],
        [("a", 1.0), ("b", 0.5)],
        [("a", 0.5), ("b", 1.0)],
        [("a", 1.0), ("a", 1.0)],
    ]
    assert len({calibration_digest("checkpoint", choice) for choice in choices}) == len(choices)


def test_every_adapter_of_a_sequence_is_added(files: tuple[Path, Path]) -> None:
    weight = torch.zeros(24, 24)
    options = [AdapterOption(file, strength) for file, strength in zip(files, (2.0, 0.25), strict=True)]
    adapters = open_adapters(options, {f"{_MODULE}.weight": (24, 24)}, component="transformer")
    fused = FusedWeights(Tensors({f"{_MODULE}.weight": weight}), adapters).read(f"{_MODULE}.weight")
    expected = 2 * _product(load_file(files[0])) + 0.25 * _product(load_file(files[1]))
    torch.testing.assert_close(fused.double(), expected, rtol=0, atol=1e-4)


def test_one_transformer_has_no_low_noise_adapters(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = write_checkpoint(tmp_path / "checkpoint", TinyModel(is_5b=True))
    given = ("--lora-low", str(files[0]))
    size = ("--size", "32x32", "--frames", "5")
    for command in (export, calibrate):
        options = (*size, "--dry-run") if command is export else size
        assert command([str(checkpoint), "--out", str(tmp_path / "out"), *options, *given]) == 1
        assert "--lora-low: this family has one transformer; give --lora-high alone" in capsys.readouterr().err
