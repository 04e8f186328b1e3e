"""An adapter of the other expert: refused where its keys say so, warned about where only its name does."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import WanTransformer3DModel
from safetensors.torch import save_file
from torch import Tensor

from export.__main__ import main as export
from export.errors import ExportError
from export.weights.expert_names import expert_of_name
from tests.adapters import open_adapter, tiny_transformer
from tests.checkpoints import TinyModel, write_checkpoint


@pytest.fixture(scope="module")
def transformer() -> WanTransformer3DModel:
    return tiny_transformer()


def _pair(prefix: str, factor: float = 1.0) -> dict[str, Tensor]:
    return {
        f"{prefix}proj_out.lora_A.weight": torch.ones(4, 24),
        f"{prefix}proj_out.lora_B.weight": torch.full((64, 4), factor),
    }


@pytest.mark.parametrize(
    ("prefix", "wrong", "remedy"),
    [
        ("transformer_2.", "transformer", "of the low-noise transformer; give it with --lora-low"),
        ("low_noise_model.", "transformer", "of the low-noise transformer; give it with --lora-low"),
        ("pipe.dit2.", "transformer", "of the low-noise transformer; give it with --lora-low"),
        ("base_model.model.transformer_2.", "transformer", "of the low-noise transformer; give it with --lora-low"),
        ("high_noise_model.", "transformer_2", "of the high-noise transformer; give it with --lora-high"),
    ],
)
def test_keys_that_name_the_other_expert_are_refused(
    transformer: WanTransformer3DModel, tmp_path: Path, prefix: str, wrong: str, remedy: str
) -> None:
    right = {"transformer": "transformer_2", "transformer_2": "transformer"}[wrong]
    adapter = open_adapter(transformer, tmp_path, _pair(prefix), component=right)
    assert adapter.parameters == ("proj_out.weight",)
    with pytest.raises(ExportError, match=rf"adapter\.safetensors: its keys, such as {prefix}proj_out.*, are {remedy}"):
        open_adapter(transformer, tmp_path, _pair(prefix), component=wrong)


@pytest.mark.parametrize("prefix", ["transformer.", "diffusion_model.", "lora_unet_", "pipe.dit.", ""])
def test_keys_that_name_no_expert_serve_either(transformer: WanTransformer3DModel, tmp_path: Path, prefix: str) -> None:
    for component in ("transformer", "transformer_2"):
        adapter = open_adapter(transformer, tmp_path, _pair(prefix), component=component)
        assert adapter.parameters == ("proj_out.weight",)


@pytest.mark.parametrize(
    ("high", "low"),
    [
        ("transformer.", "transformer_2."),
        ("high_noise_model.", "low_noise_model."),
        ("pipe.dit.", "pipe.dit2."),
        ("diffusion_model.high_noise.", "diffusion_model.low_noise."),
    ],
)
def test_a_file_of_both_experts_gives_each_its_own_keys(
    transformer: WanTransformer3DModel, tmp_path: Path, high: str, low: str
) -> None:
    zeros = torch.zeros_like(transformer.proj_out.weight)
    for component, factor in (("transformer", 1.0), ("transformer_2", 3.0)):
        adapter = open_adapter(transformer, tmp_path, _pair(high) | _pair(low, 3.0), component=component)
        torch.testing.assert_close(adapter.added_to("proj_out.weight", zeros), torch.full_like(zeros, 4 * factor))


def test_settings_of_each_expert_count_for_it(transformer: WanTransformer3DModel, tmp_path: Path) -> None:
    settings = (
        '{"transformer.r": 4, "transformer.lora_alpha": 8, "transformer_2.r": 4, "transformer_2.lora_alpha": 2, '
        '"transformer_2.alpha_pattern": {"[": 9}}'
    )
    zeros = torch.zeros_like(transformer.proj_out.weight)
    for component, scale in (("transformer", 2.0), ("transformer_2", 0.5)):
        adapter = open_adapter(
            transformer,
            tmp_path,
            _pair("transformer.") | _pair("transformer_2."),
            component=component,
            metadata={"lora_adapter_metadata": settings},
        )
        torch.testing.assert_close(adapter.added_to("proj_out.weight", zeros), torch.full_like(zeros, 4 * scale))


@pytest.mark.parametrize(
    ("name", "expert"),
    [
        ("Wan2.2-Lightning_I2V-A14B-4steps_HIGH_fp16.safetensors", "transformer"),
        ("wan2.2_i2v_lightx2v_4steps_lora_v1_high_noise.safetensors", "transformer"),
        ("wan2.2_i2v_lightx2v_4steps_lora_v1_low_noise.safetensors", "transformer_2"),
        ("style-low-noise-000020.safetensors", "transformer_2"),
        ("Wan22HighNoise.safetensors", "transformer"),
        ("smoothMixWan22_I2VHigh.safetensors", "transformer"),
        ("wan22I2VLow_v10.safetensors", "transformer_2"),
        ("wan22_lownoise_e40.safetensors", "transformer_2"),
        ("low.safetensors", "transformer_2"),
        ("smoke_L.safetensors", "transformer_2"),
        ("smoke-H.safetensors", "transformer"),
        ("high_noise_model/model.safetensors", "transformer"),
        ("low_noise/adapter_model.safetensors", "transformer_2"),
        ("wan_high_and_low.safetensors", None),
        ("slow_motion_flow.safetensors", None),
        ("highlight.safetensors", None),
        ("high_quality.safetensors", None),
        ("low-angle shot.safetensors", None),
        ("high heels.safetensors", None),
        ("H_style.safetensors", None),
        ("smoke_l.safetensors", None),
        ("plain.safetensors", None),
    ],
)
def test_names_that_speak_of_an_expert(name: str, expert: str | None) -> None:
    assert expert_of_name(Path("/models/loras") / name) == expert


def test_an_export_tells_about_adapters_in_the_wrong_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = write_checkpoint(tmp_path / "checkpoint", TinyModel())
    for name in ("style_HIGH", "plain", "other"):
        save_file(_pair("transformer."), tmp_path / f"{name}.safetensors")
    options = {
        "--lora-low": ["style_HIGH.safetensors", "plain.safetensors"],
        "--lora-high": ["plain.safetensors:0.5", "other.safetensors", "other.safetensors"],
    }
    given = [text for option, names in options.items() for name in names for text in (option, str(tmp_path / name))]
    size = ["--size", "48x48", "--frames", "5", "--dry-run"]
    assert export([str(checkpoint), "--out", str(tmp_path / "bundle"), *size, *given]) == 0
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("adapter ")]
    assert said == [
        "adapter other.safetensors: is given 2 times with --lora-high, and fused as often",
        "adapter style_HIGH.safetensors: its name says high-noise, and it is given with --lora-low; --lora-high is "
        "that transformer's",
        "adapter plain.safetensors: is given with --lora-high and with --lora-low, and fused into both transformers",
    ]


def test_names_and_files_in_their_place_are_not_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = write_checkpoint(tmp_path / "checkpoint", TinyModel())
    for name in ("style_HIGH", "style_LOW"):
        save_file(_pair("transformer."), tmp_path / f"{name}.safetensors")
    given = ["--lora-high", f"{tmp_path}/style_HIGH.safetensors", "--lora-low", f"{tmp_path}/style_LOW.safetensors"]
    size = ["--size", "48x48", "--frames", "5", "--dry-run"]
    assert export([str(checkpoint), "--out", str(tmp_path / "bundle"), *size, *given]) == 0
    assert "adapter " not in capsys.readouterr().out
