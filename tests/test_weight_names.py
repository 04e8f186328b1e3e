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
