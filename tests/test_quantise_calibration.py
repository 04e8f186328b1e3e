"""Calibration for quantisation: what it measures, what it saves, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from engine.api.capabilities import Geometry
from export.errors import ExportError
from export.quantise.calibrate import calibrate, main
from export.quantise.calibration import calibration_digest, group_size, load_calibration
from export.quantise.encodings import Float8, Int4, Int8, PassThrough
from export.quantise.observe import observe
from export.quantise.recipes import recipe_for
from export.quantise.samples import generated_pairs, read_pairs
from export.weights.layouts.opening import open_checkpoint
from export.weights.shards import Shards
from tests.checkpoints import TinyModel, write_checkpoint
from tests.quantising import Tensors


class _Net(nn.Module):
    """Two linears that share an input and one of their product."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(512, 6)
        self.second = nn.Linear(512, 6)
        self.third = nn.Linear(6, 3)

    def forward(self, values: Tensor) -> Tensor:
        return self.third(self.first(values) * self.second(values))


def test_ranges_and_moments_are_those_of_the_inputs() -> None:
    torch.manual_seed(1)
    real = _Net().eval()
    with torch.device("meta"):
        absent = _Net().eval()
    samples = [torch.randn(2, 5, 512), torch.randn(1, 9, 512)]
    observed = observe(absent, Tensors(real.state_dict()), [{"values": item} for item in samples])
    rows = torch.cat([item.reshape(-1, 512) for item in samples])
    assert observed.call_count == 2
    assert observed.ranges["first"] == observed.ranges["second"] == float(rows.abs().max())
    with torch.no_grad():
        product = real.first(rows) * real.second(rows)
    assert observed.ranges["third"] == pytest.approx(float(product.abs().max()), rel=1e-5)
    assert observed.shared == {"first": "first", "second": "first", "third": "third"}
    expected = torch.stack([part.T @ part / len(rows) for part in rows.split(256, dim=1)])
    torch.testing.assert_close(observed.moments["first"], expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(observed.moments["third"], (product.T @ product / len(rows))[None], rtol=1e-4, atol=1e-5)
    assert all(item.is_meta for name, item in absent.named_parameters() if name.endswith("weight"))  # dropped again


def test_groups_divide_the_width() -> None:
    assert [group_size(width) for width in (13824, 5120, 192, 1000, 7)] == [256, 256, 192, 250, 7]


@pytest.fixture(scope="module", params=[False, True], ids=["A14B", "5B"])
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = TinyModel(is_5b=request.param, head_size=16, ffn_size=96)
    return write_checkpoint(tmp_path_factory.mktemp("calibration"), model)


@pytest.fixture(scope="module")
def folder(checkpoint: Path) -> Path:
    out = checkpoint.parent / f"{checkpoint.name}-calibration"
    geometry = Geometry(64, 64, 5)
    calibrate(open_checkpoint(checkpoint), out, generated_pairs(geometry)[:2], geometry, samples_per_pair=2)
    return out


def test_every_linear_of_the_blocks_is_known_by_its_name(checkpoint: Path, folder: Path) -> None:
    opened = open_checkpoint(checkpoint)
    for component in [item.stem for item in folder.glob("*.json")]:
        source = Shards.open(checkpoint / component)
        calibration = load_calibration(folder, component, calibration_digest(opened.digest()))
        assert calibration.sample_count == 4
        for precision, kind in (("int8", Int8), ("fp8", Float8), ("int4", Int4)):
            encodings = recipe_for("transformer", precision).encodings(source, calibration)  # type: ignore[arg-type]
            assert list(encodings) == list(source.names())
            quantised = {name: item for name, item in encodings.items() if isinstance(item, kind)}
            assert len(quantised) == 2 * 10
            for name, item in quantised.items():
                assert item.encode(name, source.read(name))  # the moments fit the weight
                if isinstance(item, Int4):
                    assert item.moments is not None
                    assert item.input_range is None
                else:
                    assert item.input_range is not None
                    assert 0 < item.input_range < 1e3


def test_what_stays_in_high_precision(checkpoint: Path) -> None:
    source = Shards.open(checkpoint / "transformer")
    encodings = recipe_for("transformer", "int4").encodings(source)
    kept = {name: item.dtype for name, item in encodings.items() if isinstance(item, PassThrough)}
    half = {name for name, dtype in kept.items() if dtype is torch.float16 and name.endswith(".weight")}
    assert {name for name in half if "norm" not in name} == {
        "patch_embedding.weight",
        "proj_out.weight",
        "condition_embedder.time_proj.weight",
        "condition_embedder.text_embedder.linear_1.weight",
        "condition_embedder.text_embedder.linear_2.weight",
    }
    whole = {name for name, dtype in kept.items() if dtype is torch.float32}
    assert {"scale_shift_table", "blocks.0.scale_shift_table", "blocks.1.norm2.weight"} < whole
    assert "condition_embedder.time_embedder.linear_1.weight" in whole


def test_the_text_encoder_has_weights_of_eight_bits_and_inputs_as_they_are(checkpoint: Path) -> None:
    source = Shards.open(checkpoint / "text_encoder")
    encodings = recipe_for("text_encoder", "fp8").encodings(source)
    quantised = {name for name, item in encodings.items() if isinstance(item, Int8) and item.input_range is None}
    assert len(quantised) == 2 * 7
    assert all("SelfAttention" in name or "DenseReluDense" in name for name in quantised)
    assert not any("relative_attention_bias" in name or "norm" in name for name in quantised)


@pytest.mark.parametrize("precision", ["int8", "fp8"])
def test_inputs_are_not_quantised_blindly(checkpoint: Path, precision: str) -> None:
    source = Shards.open(checkpoint / "transformer")
    with pytest.raises(ExportError, match=rf"--precision {precision} .* run `python -m export\.quantise\.calibrate`"):
        recipe_for("transformer", precision).encodings(source)  # type: ignore[arg-type]


def test_an_unknown_precision_names_those_there_are() -> None:
    with pytest.raises(ExportError, match=r"--precision int3: choose one of fp32, fp16, bf16, int8, fp8, int4"):
        recipe_for("transformer", "int3")  # type: ignore[arg-type]


def test_measurements_of_other_weights_are_refused(folder: Path) -> None:
    with pytest.raises(ExportError, match=r"transformer\.json: was measured on other weights than these; run"):
        load_calibration(folder, "transformer", calibration_digest("another"))
    with pytest.raises(ExportError, match=r"cannot read .*vae\.json: No such file"):
        load_calibration(folder, "vae", "")
    assert calibration_digest("a", [("b", 1.0)]) != calibration_digest("a", [("b", 0.5)]) != calibration_digest("a")


@pytest.mark.parametrize("content", ["", "[]", '{"format_version": 1}', '{"digest": "x", "ranges": 3}'])
def test_damaged_measurements_are_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "transformer.json").write_text(content)
    with pytest.raises(ExportError, match=r"transformer\.json: is not a calibration .* run"):
        load_calibration(tmp_path, "transformer", "x")


class TestPairs:
    def test_pictures_are_cut_to_the_size(self, tmp_path: Path) -> None:
        Image.new("RGB", (90, 40), (255, 0, 0)).save(tmp_path / "red.png")
        file = tmp_path / "pairs.jsonl"
        file.write_text(json.dumps({"picture": "red.png", "sentence": "红"}, ensure_ascii=False) + "\n\n")
        (pair,) = read_pairs(file, Geometry(64, 48, 5))
        assert pair.frames.shape == (1, 48, 64, 3)
        assert pair.sentence == "红"
        assert (pair.frames == (255, 0, 0)).all()

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("", r"holds no pair; write one JSON object per line"),
            ("{}", r"line 1: 'picture'; write"),
            ('{"picture": "none.png", "sentence": "a"}', r"line 1: .*none\.png"),
            ("\nred.png a", r"line 2: "),
        ],
    )
    def test_faults_name_the_line(self, tmp_path: Path, content: str, message: str) -> None:
        file = tmp_path / "pairs.jsonl"
        file.write_text(content)
        with pytest.raises(ExportError, match=message):
            read_pairs(file, Geometry(64, 48, 5))

    def test_generated_pictures_are_smooth_and_use_the_range(self) -> None:
        for pair in generated_pairs(Geometry(64, 64, 5)):
            picture = pair.frames[0].astype(np.float32)
            assert picture.std() > 30
            assert (
                np.abs(np.diff(picture, axis=1)).mean() < 0.7 * picture.std()
            )  # 1.13 times where neighbours know nothing of each other


def test_the_command_refuses_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err.startswith(f"calibrate: {tmp_path} holds no checkpoint: the folder is empty")
    assert main([str(tmp_path), "--out", str(tmp_path), "--size", "64"]) == 1
    assert "--size must be WIDTHxHEIGHT" in capsys.readouterr().err
