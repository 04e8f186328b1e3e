"""Names of every layout at full width: each official parameter is found, none is left over, shapes agree."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers, convert_wan_vae_to_diffusers
from transformers import UMT5Config, UMT5EncoderModel

from benchmarks.full_size import A14B_EXPERT, TI2V_5B, UMT5_XXL, VAE_16_CHANNELS, VAE_48_CHANNELS
from export.weights.names.layout import ComponentKind, FoundNames, find_layout, name_table
from tests.official_names import Shapes, official_shapes

_KINDS: Mapping[str, ComponentKind] = {
    "a14b": "transformer",
    "5b": "transformer",
    "vae16": "vae",
    "vae48": "vae",
    "umt5": "text_encoder",
}
_COMPONENTS = tuple(_KINDS)
_PREFIXES = (
    "",
    "model.",
    "model.diffusion_model.",
    "diffusion_model.",
    "transformer.",
    "module.",
    "first_stage_model.",
    "vae.",
    "text_encoders.umt5xxl.transformer.",
    "encoder.",
    "_orig_mod.pipe.dit.",
)


@cache
def _inside_shapes(component: str) -> Shapes:
    """Parameters of the true model by inside names, from the libraries' modules on the meta device."""
    with torch.device("meta"):
        module: Any
        if component in {"a14b", "5b"}:
            module = WanTransformer3DModel.from_config(dict(A14B_EXPERT if component == "a14b" else TI2V_5B))
        elif component == "umt5":
            module = UMT5EncoderModel(UMT5Config(**UMT5_XXL))
            module.encoder.embed_tokens = module.shared
        else:
            module = AutoencoderKLWan.from_config(dict(VAE_16_CHANNELS if component == "vae16" else VAE_48_CHANNELS))
    return {name: tuple(parameter.shape) for name, parameter in module.named_parameters()}


def _found(component: str, names: list[str]) -> FoundNames:
    found = find_layout(_KINDS[component], names)
    assert found is not None
    return found


@pytest.mark.parametrize("component", _COMPONENTS)
def test_official_files_give_every_parameter_with_its_shape(component: str) -> None:
    official = official_shapes(component)
    found = _found(component, list(official))
    assert (found.layout, found.prefix, found.unknown, found.companions) == ("official", "", (), {})
    assert {found.inside[name]: shape for name, shape in official.items()} == _inside_shapes(component)


@pytest.mark.parametrize("component", _COMPONENTS)
def test_diffusers_files_give_every_parameter(component: str) -> None:
    names = list(_inside_shapes(component))
    found = _found(component, names)
    assert (found.layout, found.prefix, found.unknown) == ("diffusers", "", ())
    assert found.inside == {name: name for name in names}


@pytest.mark.parametrize("component", _COMPONENTS)
def test_tables_go_both_ways(component: str) -> None:
    inside, official = list(_inside_shapes(component)), list(official_shapes(component))
    table = name_table(_KINDS[component], "official", inside)
    assert sorted(filter(None, map(table.from_diffusers, inside))) == sorted(official)
    assert [table.from_diffusers(table.to_diffusers(name) or "") for name in official] == official
    assert [table.to_diffusers(table.from_diffusers(name) or "") for name in inside] == inside


@pytest.mark.parametrize("prefix", _PREFIXES)
@pytest.mark.parametrize("component", _COMPONENTS)
def test_whatever_stands_before_all_names_is_the_prefix(component: str, prefix: str) -> None:
    for names in (official_shapes(component), _inside_shapes(component)):
        found = _found(component, [prefix + name for name in names])
        assert (found.prefix, found.unknown, len(found.inside)) == (prefix, (), len(names))
        assert sorted(found.stored) == sorted(_inside_shapes(component))


@pytest.mark.parametrize("component", ["a14b", "5b", "vae16"])
def test_official_names_agree_with_the_conversion_of_diffusers(component: str) -> None:
    official = list(official_shapes(component))
    tags = {name: torch.tensor(place) for place, name in enumerate(official)}
    convert = convert_wan_vae_to_diffusers if component == "vae16" else convert_wan_transformer_to_diffusers
    expected = {int(tag): inside for inside, tag in convert(dict(tags)).items()}
    assert _found(component, official).inside == {name: expected[int(tag)] for name, tag in tags.items()}


@pytest.mark.parametrize(
    ("component", "official", "inside"),
    [
        # Same shapes, told apart by the code of both libraries: gate.0 has the activation, fc1 has none.
        ("umt5", "blocks.5.ffn.gate.0.weight", "encoder.block.5.layer.1.DenseReluDense.wi_0.weight"),
        ("umt5", "blocks.5.ffn.fc1.weight", "encoder.block.5.layer.1.DenseReluDense.wi_1.weight"),
        ("umt5", "blocks.5.ffn.fc2.weight", "encoder.block.5.layer.1.DenseReluDense.wo.weight"),
        ("umt5", "blocks.5.norm1.weight", "encoder.block.5.layer.0.layer_norm.weight"),
        ("umt5", "blocks.5.norm2.weight", "encoder.block.5.layer.1.layer_norm.weight"),
        ("umt5", "norm.weight", "encoder.final_layer_norm.weight"),
        ("umt5", "token_embedding.weight", "shared.weight"),
        *(
            ("umt5", f"blocks.5.attn.{name}.weight", f"encoder.block.5.layer.0.SelfAttention.{name}.weight")
            for name in "qkvo"
        ),
        *(
            ("vae48", f"{official}.residual.{place}", f"{inside}.{name}")
            for official, inside in (
                ("encoder.downsamples.1.downsamples.0", "encoder.down_blocks.1.resnets.0"),
                ("encoder.downsamples.3.downsamples.1", "encoder.down_blocks.3.resnets.1"),
                ("decoder.upsamples.3.upsamples.2", "decoder.up_blocks.3.resnets.2"),
                ("encoder.middle.0", "encoder.mid_block.resnets.0"),
                ("decoder.middle.2", "decoder.mid_block.resnets.1"),
            )
            for place, name in (
                ("0.gamma", "norm1.gamma"),
                ("2.weight", "conv1.weight"),
                ("3.gamma", "norm2.gamma"),
                ("6.bias", "conv2.bias"),
            )
        ),
        (
            "vae48",
            "encoder.downsamples.1.downsamples.2.time_conv.bias",
            "encoder.down_blocks.1.downsampler.time_conv.bias",
        ),
        ("vae48", "decoder.upsamples.2.upsamples.3.resample.1.bias", "decoder.up_blocks.2.upsampler.resample.1.bias"),
        ("vae48", "decoder.upsamples.2.upsamples.0.shortcut.bias", "decoder.up_blocks.2.resnets.0.conv_shortcut.bias"),
        ("vae48", "conv1.bias", "quant_conv.bias"),
        ("vae48", "conv2.bias", "post_quant_conv.bias"),
        ("vae48", "encoder.conv1.bias", "encoder.conv_in.bias"),
        ("vae48", "decoder.head.2.bias", "decoder.conv_out.bias"),
    ],
)
def test_parameters_of_one_shape_are_not_confused(component: str, official: str, inside: str) -> None:
    assert _found(component, list(official_shapes(component))).inside[official] == inside
