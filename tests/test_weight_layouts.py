"""Layouts of files: several components in one file, scales, markers, unknown names, tiny VAEs, foreign models."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from diffusers import AutoencoderKLWan

from export.weights.names.layout import COMPONENT_KINDS, ComponentKind, find_layout, name_table
from export.weights.names.other_models import other_transformer, recognised
from tests.official_names import Shapes, official_shapes

_PARTS: tuple[tuple[ComponentKind, str, str], ...] = (
    ("transformer", "a14b", "model.diffusion_model."),
    ("vae", "vae16", "first_stage_model."),
    ("text_encoder", "umt5", "text_encoders.umt5xxl.transformer."),
)


def _prefixed(component: str, prefix: str) -> Shapes:
    return {prefix + name: shape for name, shape in official_shapes(component).items()}


@pytest.mark.parametrize("own", _PARTS, ids=lambda part: part[0])
@pytest.mark.parametrize("bare", [None, "transformer", "vae", "text_encoder"])
def test_an_all_in_one_file_gives_the_component_that_is_asked_for(
    own: tuple[ComponentKind, str, str], bare: ComponentKind | None
) -> None:
    parts = {kind: _prefixed(component, "" if kind == bare else prefix) for kind, component, prefix in _PARTS}
    names = [name for shapes in parts.values() for name in shapes] + ["cond_stage_model.logit_scale"]
    random.Random(0).shuffle(names)
    found = find_layout(own[0], names)
    assert found is not None
    assert set(found.inside) == set(parts[own[0]])
    expected_unknown = {"cond_stage_model.logit_scale"} if bare == own[0] else set()
    assert (set(found.unknown), found.companions, found.other_prefixes) == (expected_unknown, {}, ())
    assert len(found.elsewhere) == len(names) - len(found.inside) - len(expected_unknown)


def test_a_file_with_both_experts_names_the_other_one() -> None:
    names = [*_prefixed("a14b", "high."), *_prefixed("a14b", "low.")]
    found = find_layout("transformer", names)
    assert found is not None
    assert (found.prefix, found.other_prefixes, found.unknown) == ("low.", ("high.",), ())
    chosen = find_layout("transformer", names, prefix="high.")
    assert chosen is not None
    assert (chosen.prefix, len(chosen.inside), chosen.other_prefixes) == ("high.", 1095, ("low.",))
    assert find_layout("transformer", names, prefix="middle.") is None


def test_scales_belong_to_their_module() -> None:
    prefix = "model.diffusion_model."
    extra = {
        "blocks.0.self_attn.q.scale_weight": ("blocks.0.attn1.to_q", "scale_weight"),
        "blocks.3.ffn.2.weight_scale": ("blocks.3.ffn.net.2", "weight_scale"),
        "blocks.3.ffn.0.input_scale": ("blocks.3.ffn.net.0.proj", "input_scale"),
        "blocks.39.cross_attn.o.comfy_quant": ("blocks.39.attn2.to_out.0", "comfy_quant"),
        "head.head.scale_input": ("proj_out", "scale_input"),
        "blocks.0.cross_attn.v.weight.absmax": ("blocks.0.attn2.to_v", "weight.absmax"),
        "blocks.0.cross_attn.v.weight.quant_state.bitsandbytes__nf4": (
            "blocks.0.attn2.to_v",
            "weight.quant_state.bitsandbytes__nf4",
        ),
    }
    names = [*_prefixed("a14b", prefix), *(prefix + name for name in extra), f"{prefix}scaled_fp8"]
    found = find_layout("transformer", names)
    assert found is not None
    assert found.companions == {prefix + name: place for name, place in extra.items()}
    assert (found.markers, found.unknown) == ((f"{prefix}scaled_fp8",), ())


@pytest.mark.parametrize(
    "name",
    [
        "blocks.0.cross_attn.k_img.weight",
        "blocks.0.self_attn.weight",
        "blocks.00.self_attn.q.weight",
        "blocks.-1.self_attn.q.weight",
        "blocks.10000.self_attn.q.weight",
        "blocks.٣.self_attn.q.weight",
        "blocks.0.modulation.weight",
        "blocks.{}.self_attn.q.weight",
        "blocks.0.self_attn.norm_q.bias",
        "patch_embedding",
        "",
        ".",
    ],
)
def test_what_no_row_describes_is_unknown(name: str) -> None:
    table = name_table("transformer", "official")
    assert (table.to_diffusers(name), table.companion(name)) == (None, None)
    found = find_layout("transformer", [*official_shapes("a14b"), name])
    assert found is not None
    assert found.unknown == (name,)


def test_the_text_encoder_of_comfyui_and_a_whole_umt5() -> None:
    official = find_layout("text_encoder", list(official_shapes("umt5")))
    assert official is not None
    names = list(official.stored)
    decoder = ["decoder.block.0.layer.0.SelfAttention.q.weight", "decoder.final_layer_norm.weight", "lm_head.weight"]
    found = find_layout("text_encoder", [*names, *decoder, "encoder.embed_tokens.weight", "spiece_model", "scaled_fp8"])
    assert found is not None
    assert (found.layout, found.tokenizer, found.markers) == ("diffusers", "spiece_model", ("scaled_fp8",))
    assert (found.ignored, found.unknown) == (tuple(decoder), ())
    assert set(found.inside) == {*names, "encoder.embed_tokens.weight"}


@pytest.mark.parametrize("block_count", [1, 2, 3])
@pytest.mark.parametrize("multiples", [[1, 1], [1, 2, 2], [1, 2, 4, 4], [1, 1, 2, 4, 4]])
@pytest.mark.parametrize("is_residual", [False, True])
def test_a_vae_of_any_depth_goes_both_ways(*, is_residual: bool, multiples: list[int], block_count: int) -> None:
    halve_time = [stage > 0 for stage in range(len(multiples) - 1)]
    vae = AutoencoderKLWan(
        base_dim=4,
        z_dim=16,
        dim_mult=multiples,
        num_res_blocks=block_count,
        temperal_downsample=halve_time,
        is_residual=is_residual,
    )
    inside = [name for name, _ in vae.named_parameters()]
    table = name_table("vae", "official", inside)
    official = [table.from_diffusers(name) or "" for name in inside]
    assert len(set(official)) == len(inside)
    found = find_layout("vae", official)
    assert found is not None
    assert (found.layout, found.unknown, list(found.inside.values())) == ("official", (), inside)


@pytest.mark.parametrize("kind", ["transformer", "vae", "text_encoder"])
@pytest.mark.parametrize("names", [[], ["x"], ["model.layers.0.self_attn.q_proj.weight"], ["vace_blocks.0.ffn.0.bias"]])
def test_a_file_without_the_component_gives_none(kind: ComponentKind, names: Sequence[str]) -> None:
    assert find_layout(kind, names) is None


def _transformer(in_channels: int, out_channels: int, extra: str = "") -> Shapes:
    shapes = dict(official_shapes("a14b"))
    shapes["patch_embedding.weight"] = (5120, in_channels, 1, 2, 2)
    shapes["head.head.weight"] = (4 * out_channels, 5120)
    return shapes | ({extra: (1,)} if extra else {})


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
@pytest.mark.parametrize("component", ["a14b", "5b"])
def test_both_transformers_are_image_to_video(component: str, prefix: str) -> None:
    assert other_transformer(_prefixed(component, prefix)) is None
    assert other_transformer(_prefixed(component, prefix), {"model_type": "i2v", "_class_name": "WanModel"}) is None


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        (_transformer(16, 16), "is text-to-video, which takes no picture (its 16 input channels"),
        (_transformer(36, 16, "img_emb.proj.0.weight"), "is Wan2.1 image-to-video"),
        (_transformer(36, 16, "blocks.0.cross_attn.k_img.weight"), "is Wan2.1 image-to-video"),
        (_transformer(16, 16, "vace_blocks.0.after_proj.weight"), "is VACE"),
        (_transformer(16, 16, "casual_audio_encoder.weights"), "is Wan2.2-S2V"),
        (_transformer(36, 16, "pose_patch_embedding.weight"), "is Wan2.2-Animate"),
        (_transformer(36, 16, "control_adapter.conv.weight"), "is a Fun-Control-Camera model"),
        (_transformer(52, 16, "ref_conv.weight"), "is a Fun-Control model"),
        (_transformer(52, 16), "is a Wan model with 52 input and 16 output channels"),
        (_transformer(100, 48), "is a Wan model with 100 input and 48 output channels"),
        ({"vace_blocks.0.self_attn.q.weight": (5120, 5120)}, "is VACE"),
        ({"double_blocks.0.img_mod.lin.weight": (1, 1)}, "is Flux"),
        ({"transformer.single_transformer_blocks.0.attn.to_q.weight": (1, 1)}, "is Flux"),
        ({"model.diffusion_model.input_blocks.0.0.weight": (1, 1)}, "is Stable Diffusion or SDXL"),
        ({"txt_in.individual_token_refiner.blocks.0.mlp.fc1.weight": (1, 1)}, "is HunyuanVideo"),
        (
            {"diffusion_model.blocks.0.self_attn.q.lora_A.weight": (4, 4)},
            "is an adapter (LoRA); give it as --lora-high",
        ),
        ({"something.else": (1,)}, "is no Wan transformer"),
        ({}, "is no Wan transformer"),
        (official_shapes("vae16"), "is a Wan VAE in official names"),
        (official_shapes("umt5"), "is a T5 text encoder"),
    ],
)
def test_other_transformers_are_named(shapes: Shapes, words: str) -> None:
    said = other_transformer(shapes)
    assert said is not None
    assert said.startswith(words)
    assert "; give " in said


@pytest.mark.parametrize(
    ("configuration", "words"),
    [
        ({"_class_name": "WanModel", "model_type": "t2v", "dim": 5120}, "is text-to-video"),
        ({"model_type": "s2v"}, "is Wan2.2-S2V"),
        ({"_class_name": "WanVACETransformer3DModel"}, "is VACE"),
        ({"_class_name": "WanTransformer3DModel", "image_dim": 1280}, "is Wan2.1 image-to-video"),
        ({"_class_name": ["x"], "model_type": {}, "added_kv_proj_dim": 5120}, "is Wan2.1 image-to-video"),
    ],
)
def test_configurations_of_other_transformers_are_named(configuration: dict[str, object], words: str) -> None:
    assert str(other_transformer(official_shapes("a14b"), configuration)).startswith(words)


def test_files_are_recognised() -> None:
    assert recognised(official_shapes("5b")) == "a Wan transformer"
    assert recognised({"text_model.encoder.layers.0.mlp.fc1.weight": (1, 1)}) == "a CLIP text encoder"
    assert recognised({"x": (1,)}) is None


def test_no_list_of_names_is_a_surprise() -> None:
    draw = random.Random(0)
    whole = [*official_shapes("vae48"), *_prefixed("vae16", "vae."), *official_shapes("umt5"), "blocks.0.self_attn.q."]
    for _ in range(100):
        names = draw.sample(whole, 40)
        for _ in range(draw.randrange(20)):
            place = draw.randrange(len(names))
            at = draw.randrange(len(names[place]) + 1)
            names[place] = (
                names[place][:at]
                + draw.choice(("", ".", "{}", "9" * 9, "٣", "\0", "encoder."))
                + names[place][at + 1 :]
            )
        for kind in COMPONENT_KINDS:
            found = find_layout(kind, names)
            if found is not None:
                lists = (found.inside, found.companions, found.markers, found.ignored, found.unknown, found.elsewhere)
                assert sum(map(len, lists)) + (found.tokenizer is not None) == len(set(names))
        assert recognised(dict.fromkeys(names, (1,))) != ""
