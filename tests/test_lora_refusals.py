"""LoRA adapters that are refused, and the option that names an adapter's file and strength."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import WanTransformer3DModel
from torch import Tensor

from export.errors import ExportError
from export.options import AdapterOption, parse_adapter_option
from export.weights.lora import Adapter
from tests.adapters import RANK, diffusers_layout, open_adapter, random_halves, shapes_of, tiny_transformer


@pytest.fixture(scope="module")
def transformer() -> WanTransformer3DModel:
    return tiny_transformer()


_DOWN, _UP = torch.zeros(RANK, 24), torch.zeros(24, RANK)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (
            {"diffusion_model.blocks.0.cross_attn.k_img.lora_down.weight": _DOWN},
            r"no such weight; .* Wan2\.1 .* --lora-skip-image-keys leaves out 1 key ",
        ),
        ({f"transformer.blocks.{n}.attn1.to_q.lora_A.weight": _DOWN for n in range(7, 12)}, r"and 2 more: this trans"),
        ({"transformer.blocks.0.attn1.to_q.lora_C.weight": _DOWN}, r"to_q\.lora_C\.weight: this transformer has no"),
        ({"transformer.blocks.0.attn1.to_q.lora_A.weight": _DOWN}, r"to_q\.lora_A\.weight lacks its down or up half"),
        ({"transformer.blocks.0.attn1.to_q.alpha": torch.tensor(1.0)}, r"to_q\.alpha lacks its down or up half"),
        (
            {
                "transformer.blocks.0.attn1.to_q.lora_A.weight": _DOWN,
                "transformer.blocks.0.attn1.to_q.lora_B.weight": torch.zeros(24, 8),
            },
            r"\[4, 24\] and .*\[24, 8\] do not make a weight \[24, 24\]; give an adapter",
        ),
        (
            {
                "transformer.blocks.0.attn1.to_q.lora_A.weight": _DOWN,
                "transformer.blocks.0.attn1.to_q.lora_B.weight": _UP,
                "transformer.blocks.0.attn1.to_q.lora_down.weight": _DOWN,
            },
            r"change the same weight; remove one",
        ),
        ({"diffusion_model.head.head.diff_b": torch.zeros(3)}, r"diff_b has shape \[3\], the weight has \[64\]"),
        ({"transformer.blocks.0.attn1.to_q.dora_scale": torch.zeros(24)}, r"dora_scale lacks its down or up half"),
        ({}, r"holds no tensor for this transformer"),
    ],
)
def test_what_cannot_be_fused_whole_is_refused(
    transformer: WanTransformer3DModel, tmp_path: Path, tensors: dict[str, Tensor], message: str
) -> None:
    with pytest.raises(ExportError, match=r"adapter\.safetensors: .*" + message):
        open_adapter(transformer, tmp_path, tensors)


def test_a_file_that_is_none_is_refused(transformer: WanTransformer3DModel, tmp_path: Path) -> None:
    file = tmp_path / "adapter.safetensors"
    for prepare in (lambda: None, lambda: file.write_bytes(b"<html>not found</html>")):
        prepare()
        with pytest.raises(
            ExportError, match=r"adapter\.safetensors.*(No such file|not weights; give|download the file again)"
        ):
            Adapter.open(file, shapes_of(transformer))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("high.safetensors", AdapterOption(Path("high.safetensors"), 1.0)),
        ("high.safetensors:0.8", AdapterOption(Path("high.safetensors"), 0.8)),
        ("C:/loras/high.safetensors", AdapterOption(Path("C:/loras/high.safetensors"), 1.0)),
        ("a:b.safetensors:-1", AdapterOption(Path("a:b.safetensors"), -1.0)),
        ("a:b.safetensors", AdapterOption(Path("a:b.safetensors"), 1.0)),
        ("D:\\loras\\HIGH.SAFETENSORS", AdapterOption(Path("D:\\loras\\HIGH.SAFETENSORS"), 1.0)),
        ("D:\\loras\\HIGH.SAFETENSORS:1e-1", AdapterOption(Path("D:\\loras\\HIGH.SAFETENSORS"), 0.1)),
        ("C:\\loras\\without_suffix", AdapterOption(Path("C:\\loras\\without_suffix"), 1.0)),
        ("C:lora.pt", AdapterOption(Path("C:lora.pt"), 1.0)),
        ("2026-11-27T12:30.gguf:0.5", AdapterOption(Path("2026-11-27T12:30.gguf"), 0.5)),
    ],
)
def test_the_option_names_a_file_and_may_name_a_strength(text: str, expected: AdapterOption) -> None:
    assert parse_adapter_option(text) == expected


@pytest.mark.parametrize("strength", ["strong", "", "0,8", "80%", "0.8.1", "1 2"])
def test_a_strength_that_is_no_number_is_refused(strength: str) -> None:
    with pytest.raises(ExportError, match=rf"'{strength}' is not a number; write FILE or FILE:0\.8"):
        parse_adapter_option(f"high.safetensors:{strength}")


def test_an_option_without_a_file_is_refused() -> None:
    for text in ("", ":0.8"):
        with pytest.raises(ExportError, match=r"names no file; write FILE or FILE:0\.8"):
            parse_adapter_option(text)


def test_a_strength_that_is_not_finite_is_refused(transformer: WanTransformer3DModel, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"strength nan is not a finite number"):
        open_adapter(transformer, tmp_path, diffusers_layout(random_halves(transformer)), strength=float("nan"))
