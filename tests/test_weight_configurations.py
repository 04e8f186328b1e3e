"""Configurations from shapes and from the official config.json, exact for both families, and refusals."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from transformers import UMT5Config, UMT5EncoderModel

from benchmarks.full_size import A14B_EXPERT, TI2V_5B, UMT5_XXL, VAE_16_CHANNELS, VAE_48_CHANNELS
from export.errors import ExportError
from export.weights.names.configurations import (
    official_transformer_configuration,
    text_encoder_configuration,
    transformer_configuration,
)
from export.weights.names.latent_statistics import LATENT_STATISTICS
from export.weights.names.layout import ComponentKind, find_layout
from export.weights.names.vae_configuration import vae_configuration
from tests.official_names import Shapes, official_shapes

_Configure = Callable[[Mapping[str, Any], str], dict[str, Any]]
_CASES: Mapping[str, tuple[ComponentKind, _Configure, Mapping[str, Any]]] = {
    "a14b": ("transformer", transformer_configuration, A14B_EXPERT),
    "5b": ("transformer", transformer_configuration, TI2V_5B),
    "umt5": ("text_encoder", text_encoder_configuration, UMT5_XXL),
    "vae16": ("vae", vae_configuration, VAE_16_CHANNELS),
    "vae48": ("vae", vae_configuration, VAE_48_CHANNELS),
}
_STATISTICS = ("latents_mean", "latents_std")  # not in the files


def _inside(component: str) -> Shapes:
    official = official_shapes(component)
    found = find_layout(_CASES[component][0], list(official))
    assert found is not None
    return {found.inside[name]: shape for name, shape in official.items()}


@pytest.mark.parametrize("component", _CASES)
def test_official_shapes_give_the_published_configuration(component: str) -> None:
    _, configure, published = _CASES[component]
    found = configure(_inside(component), "file")
    assert {key: found[key] for key in published if key not in _STATISTICS} == {
        key: value for key, value in published.items() if key not in _STATISTICS
    }


@pytest.mark.parametrize("component", _CASES)
def test_the_configuration_makes_a_module_of_these_shapes(component: str) -> None:
    kind, configure, _ = _CASES[component]
    shapes = _inside(component)
    found = configure(shapes, "file")
    with torch.device("meta"):
        module: Any
        if kind == "text_encoder":
            module = UMT5EncoderModel(UMT5Config(**found))
        else:
            module = (WanTransformer3DModel if kind == "transformer" else AutoencoderKLWan).from_config(found)
    assert {name: tuple(parameter.shape) for name, parameter in module.named_parameters()} == shapes


def test_latent_statistics_of_16_channels_are_those_of_diffusers() -> None:
    defaults = inspect.signature(AutoencoderKLWan.__init__).parameters
    assert list(LATENT_STATISTICS[16].mean) == defaults["latents_mean"].default
    assert list(LATENT_STATISTICS[16].std) == defaults["latents_std"].default


def test_latent_statistics_of_48_channels() -> None:
    """First, last and sum of each list in the official repository's ``wan/modules/vae2_2.py``."""
    mean, std = LATENT_STATISTICS[48].mean, LATENT_STATISTICS[48].std
    assert (len(mean), mean[0], mean[-1], round(sum(mean), 4)) == (48, -0.2289, -0.0667, -0.5589)
    assert (len(std), std[0], std[-1], round(sum(std), 4)) == (48, 0.4765, 0.7744, 32.536)


_TINY_VAES: tuple[dict[str, Any], ...] = (
    {"base_dim": 4, "num_res_blocks": 1},
    {"base_dim": 4, "num_res_blocks": 3, "dim_mult": [1, 2, 4], "temperal_downsample": [True, True]},
    {"base_dim": 4, "num_res_blocks": 1, "is_residual": True, "in_channels": 12, "out_channels": 12, "patch_size": 2}
    | {"scale_factor_spatial": 16},
    {"base_dim": 4, "decoder_base_dim": 8, "num_res_blocks": 2, "is_residual": True}
    | {"in_channels": 12, "out_channels": 12, "patch_size": 2, "scale_factor_spatial": 16},
)


@pytest.mark.parametrize("shape", _TINY_VAES)
def test_tiny_vaes_give_their_configuration(shape: dict[str, Any]) -> None:
    z_dim = 48 if shape.get("is_residual") else 16
    whole = {"z_dim": z_dim, "latents_mean": [0.0] * z_dim, "latents_std": [1.0] * z_dim, **shape}
    spatial = {"scale_factor_spatial": 4} if len(shape.get("dim_mult", "1244")) == 3 else {}
    vae = AutoencoderKLWan(**(whole | spatial))
    found = vae_configuration({name: tuple(item.shape) for name, item in vae.named_parameters()}, "file")
    expected = {key: vae.config[key] for key in found if key not in _STATISTICS}
    assert {key: value for key, value in found.items() if key not in _STATISTICS} == expected


def test_a_tiny_transformer_gives_its_configuration() -> None:
    made = WanTransformer3DModel(
        num_attention_heads=1,
        attention_head_dim=128,
        in_channels=36,
        out_channels=16,
        text_dim=16,
        freq_dim=32,
        ffn_dim=48,
        num_layers=2,
    )
    found = transformer_configuration({name: tuple(item.shape) for name, item in made.named_parameters()}, "file")
    assert {key: list(value) if key == "patch_size" else value for key, value in found.items()} == {
        key: list(made.config[key]) if key == "patch_size" else made.config[key] for key in found
    }


def test_the_official_configuration_file_gives_the_published_configuration() -> None:
    shared = {"_class_name": "WanModel", "_diffusers_version": "0.33.0", "eps": 1e-06, "freq_dim": 256, "text_len": 512}
    a14b = {"dim": 5120, "ffn_dim": 13824, "in_dim": 36, "model_type": "i2v", "num_heads": 40, "num_layers": 40}
    ti2v = {"dim": 3072, "ffn_dim": 14336, "in_dim": 48, "model_type": "ti2v", "num_heads": 24, "num_layers": 30}
    assert official_transformer_configuration(shared | a14b | {"out_dim": 16}, "config.json") == A14B_EXPERT
    assert official_transformer_configuration(shared | ti2v | {"out_dim": 48}, "config.json") == TI2V_5B


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"dim": "5120"}, "config.json has dim '5120' instead of a whole number"),
        ({"dim": True}, "config.json has dim True instead of a whole number"),
        ({"dim": 0}, "config.json has dim 0 instead of a whole number"),
        ({"num_layers": None}, "config.json has num_layers None instead of a whole number"),
        ({"dim": 100, "num_heads": 16}, "config.json has dim 100, which is no multiple of num_heads 16"),
        ({"eps": "small"}, "config.json has eps 'small' instead of a small number"),
        ({"eps": float("nan")}, "config.json has eps nan instead of a small number"),
    ],
)
def test_official_configurations_of_no_model_are_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ExportError) as raised:
        official_transformer_configuration(values, "config.json")
    assert str(raised.value) == f"{words}; download the configuration again"


@pytest.mark.parametrize(
    ("component", "changes", "words"),
    [
        ("a14b", {"patch_embedding.weight": None}, "file has no patch_embedding.weight"),
        ("a14b", {"patch_embedding.weight": (5120, 144)}, "file has patch_embedding.weight with shape [5120, 144]"),
        ("a14b", {"patch_embedding.weight": (5000, 36, 1, 2, 2)}, "with 5000 rows, which is no multiple of 128"),
        ("a14b", {"patch_embedding.weight": (5120, 36, 0, 2, 2)}, "with shape [5120, 36, 0, 2, 2] instead of 5"),
        ("a14b", {"proj_out.weight": (63, 5120)}, "file has proj_out.weight with 63 rows, which is no multiple of 4"),
        ("a14b", {"blocks.0.attn1.to_q.weight": None}, "file has no blocks.0.attn1.to_q.weight"),
        ("umt5", {"shared.weight": None}, "file has no encoder.embed_tokens.weight"),
        (
            "umt5",
            {"encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight": None},
            "file is a T5 encoder with one position bias for all layers, not umT5",
        ),
        ("vae16", {"post_quant_conv.weight": (4, 4, 1, 1, 1)}, "file is a VAE with 4 latent channels; Wan2.2-I2V-A14B"),
        ("vae16", {"encoder.conv_in.weight": (96, 4, 3, 3, 3)}, "with 4 rows, which is no multiple of 3"),
        (
            "vae16",
            {"encoder.down_blocks.2.resample.1.weight": None},
            "file lacks a stage or a resampler of the encoder",
        ),
        ("vae48", {"decoder.conv_out.weight": (12,)}, "file has decoder.conv_out.weight with shape [12] instead of 5"),
    ],
)
def test_shapes_of_no_model_are_refused(component: str, changes: dict[str, Any], words: str) -> None:
    shapes: dict[str, Any] = _inside(component) | changes
    with pytest.raises(ExportError) as raised:
        _CASES[component][1]({name: shape for name, shape in shapes.items() if shape is not None}, "file")
    assert words in str(raised.value)
    assert ";" in str(raised.value)
