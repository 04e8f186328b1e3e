"""Whatever stands before the blocks and fits all keys of an adapter is taken off, in each way to name modules."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import WanTransformer3DModel
from torch import Tensor

from export.errors import ExportError
from export.weights.lora.layouts import ParameterNames
from tests.adapters import open_adapter, random_halves, shapes_of, tiny_transformer
from tests.checkpoint_layouts import official_name

_PREFIXES = [
    "",
    "transformer.",
    "diffusion_model.",
    "model.diffusion_model.",
    "base_model.model.",
    "base_model.model.diffusion_model.",
    "pipe.dit.",
    "lora_unet_",
    "lora_unet__",
    "lycoris_",
    "lora_prior_unet_",
    "module.net/",
    "дит.",
]


@pytest.fixture(scope="module")
def transformer() -> WanTransformer3DModel:
    return tiny_transformer()


@pytest.mark.parametrize("separator", ["points", "underscores"])
@pytest.mark.parametrize("names", ["Diffusers", "official"])
@pytest.mark.parametrize("prefix", _PREFIXES)
def test_any_prefix_before_any_names(
    transformer: WanTransformer3DModel, tmp_path: Path, prefix: str, names: str, separator: str
) -> None:
    halves = random_halves(transformer)
    tensors: dict[str, Tensor] = {}
    for module, (down, up) in halves.items():
        name = official_name(module) if names == "official" else module
        name = prefix + (name.replace(".", "_") if separator == "underscores" else name)
        tensors |= {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up, f"{name}.alpha": torch.tensor(2.0)}
    adapter = open_adapter(transformer, tmp_path, tensors)
    assert set(adapter.parameters) == {f"{module}.weight" for module in halves}
    assert adapter.notes == ()
    for module, (down, up) in halves.items():
        weight = transformer.get_parameter(f"{module}.weight")
        expected = weight.double() + 2 / 4 * up.double() @ down.double()
        fused = adapter.added_to(f"{module}.weight", weight)
        torch.testing.assert_close(fused.double(), expected, rtol=0, atol=1e-6)


def test_every_parameter_is_found_by_both_of_its_names(transformer: WanTransformer3DModel) -> None:
    shapes = shapes_of(transformer)
    parameters = {name for name in shapes if name.endswith((".weight", ".bias"))}
    for separator in "._":
        for convention in (lambda module: module, official_name):
            keys = {}
            for parameter in parameters:
                module, _, kind = parameter.rpartition(".")
                ending = ".diff" if kind == "weight" else ".diff_b"
                keys["x." + convention(module).replace(".", separator) + ending] = parameter
            found = ParameterNames(shapes).find(keys)
            assert {change.key: change.parameter for change in found.changes} == keys
            assert (found.prefix, found.unknown, found.mixed) == ("x.", (), None)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("transformer.blocks.0.attn1.to_q", "diffusion_model.blocks.0.attn1.to_k"),
        ("transformer.blocks.0.attn1.to_q", "transformer.blocks.0.self_attn.k"),
        ("lora_unet_blocks_0_self_attn_q", "lora_unet_blocks_0_attn1_to_k"),
        ("lora_unet_blocks_0_self_attn_q", "lora_unet__blocks_0_self_attn_k"),
        ("blocks.0.self_attn.q", "lora_unet_blocks_0_self_attn_k"),
        ("pipe.dit.blocks.0.self_attn.q", "blocks.0.self_attn.k"),
    ],
)
def test_keys_of_two_layouts_are_refused(
    transformer: WanTransformer3DModel, tmp_path: Path, first: str, second: str
) -> None:
    tensors = {
        f"{module}.lora_{half}.weight": torch.ones(4, 24) if half == "down" else torch.ones(24, 4)
        for module in (first, second)
        for half in ("down", "up")
    }
    expected = r"adapter\.safetensors: .* and .* name modules in different ways; give a file that names all in one way"
    with pytest.raises(ExportError, match=expected) as refusal:
        open_adapter(transformer, tmp_path, tensors)
    assert first in str(refusal.value)
    assert second in str(refusal.value)


@pytest.mark.parametrize("module", ["xblocks.0.attn1.to_q", "blocks.0.attn1.to_q_extra", "blocks.00.attn1.to_q"])
def test_a_name_that_only_resembles_a_module_is_unknown(
    transformer: WanTransformer3DModel, tmp_path: Path, module: str
) -> None:
    tensors = {f"{module}.lora_down.weight": torch.ones(4, 24), f"{module}.lora_up.weight": torch.ones(24, 4)}
    with pytest.raises(ExportError, match=r"this transformer has no such weight"):
        open_adapter(transformer, tmp_path, tensors)
