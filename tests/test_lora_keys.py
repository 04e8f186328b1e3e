"""Keys that change nothing are left out and told; Wan2.1's image keys on request; values and types are judged."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from diffusers import WanTransformer3DModel
from torch import Tensor

from export.errors import ExportError
from export.weights.lora.forms import REFUSED
from scripts.docs_tables import DOCUMENTATION
from tests.adapters import (
    diffusers_layout,
    fuse,
    kohya_layout,
    official_layout,
    open_adapter,
    random_halves,
    run,
    tiny_transformer,
)


@pytest.fixture(scope="module")
def transformer() -> WanTransformer3DModel:
    return tiny_transformer()


def _pair(module: str) -> dict[str, Tensor]:
    return {f"{module}.lora_down.weight": torch.ones(4, 24), f"{module}.lora_up.weight": torch.ones(24, 4)}


_IMAGE_KEYS = {
    "official": {
        **_pair("diffusion_model.blocks.0.cross_attn.k_img"),
        **_pair("diffusion_model.blocks.1.cross_attn.v_img"),
        "diffusion_model.blocks.1.cross_attn.v_img.diff_b": torch.ones(24),
        "diffusion_model.blocks.0.cross_attn.norm_k_img.diff": torch.ones(24),
        "diffusion_model.img_emb.proj.0.diff": torch.ones(24),
        **_pair("diffusion_model.img_emb.proj.1"),
    },
    "kohya": {
        **_pair("lora_unet_blocks_0_cross_attn_k_img"),
        **_pair("lora_unet_blocks_0_cross_attn_v_img"),
        "lora_unet_blocks_0_cross_attn_v_img.alpha": torch.tensor(4.0),
        **_pair("lora_unet_img_emb_proj_3"),
    },
    "diffusers": {
        **_pair("transformer.blocks.0.attn2.add_k_proj"),
        **_pair("transformer.blocks.0.attn2.add_v_proj"),
        "transformer.blocks.0.attn2.norm_added_k.diff": torch.ones(24),
        **_pair("transformer.condition_embedder.image_embedder.ff.net.2"),
    },
}
_LAYOUTS = {"official": official_layout, "kohya": kohya_layout, "diffusers": diffusers_layout}


@pytest.mark.parametrize("layout", _LAYOUTS)
def test_the_image_keys_of_wan21_are_left_out_on_request(
    transformer: WanTransformer3DModel, tmp_path: Path, layout: str
) -> None:
    plain = _LAYOUTS[layout](random_halves(transformer))
    tensors = {**_IMAGE_KEYS[layout], **plain}
    count = len(_IMAGE_KEYS[layout])
    refusal = f"--lora-skip-image-keys leaves out {count} keys and fuses the others"
    with pytest.raises(ExportError, match=rf"no such weight; .* Wan2\.1 image-to-video, .*{refusal}"):
        open_adapter(transformer, tmp_path, tensors)
    adapter = open_adapter(transformer, tmp_path, tensors, skips_image_keys=True)
    assert adapter.notes == (f"adapter adapter.safetensors: {count} keys of Wan2.1's image embedding left out",)
    expected = run(fuse(transformer, open_adapter(transformer, tmp_path, plain)))
    torch.testing.assert_close(
        run(fuse(transformer, open_adapter(transformer, tmp_path, tensors, skips_image_keys=True))), expected
    )


@pytest.mark.parametrize("skips", [False, True])
@pytest.mark.parametrize(
    "unknown",
    [
        "diffusion_model.blocks.0.cross_attn.k_image",
        "diffusion_model.blocks.0.cross_attn.q_img",
        "diffusion_model.img_embedding.proj.1",
        "diffusion_model.vace_blocks.0.before_proj",
        "diffusion_model.blocks.40.self_attn.q",
    ],
)
def test_the_option_leaves_out_nothing_else(
    transformer: WanTransformer3DModel, tmp_path: Path, unknown: str, skips: bool
) -> None:
    tensors = {**official_layout(random_halves(transformer)), **_pair(unknown), **_IMAGE_KEYS["official"]}
    with pytest.raises(ExportError, match=rf"{unknown}.*: this transformer has no such weight; give an adapter that"):
        open_adapter(transformer, tmp_path, tensors, skips_image_keys=skips)


@pytest.mark.parametrize(
    "prefix",
    ["lora_te_", "lora_te1_", "lora_te2_", "lycoris_te_", "text_encoder.", "text_encoder_2.", "text_encoders.umt5.",
     "cond_stage_model.", "conditioner."],
)  # fmt: skip
def test_keys_of_text_encoders_are_left_out_and_told(
    transformer: WanTransformer3DModel, tmp_path: Path, prefix: str
) -> None:
    tensors = {**diffusers_layout(random_halves(transformer)), **_pair(f"{prefix}encoder_block_0_q")}
    adapter = open_adapter(transformer, tmp_path, tensors)
    assert adapter.notes == ("adapter adapter.safetensors: 2 keys of the text encoder left out",)
    with pytest.raises(ExportError, match=r"holds no tensor for this transformer"):
        open_adapter(transformer, tmp_path, _pair(f"{prefix}encoder_block_0_q"))


def test_a_stated_shape_that_the_weight_has_changes_nothing(transformer: WanTransformer3DModel, tmp_path: Path) -> None:
    plain = official_layout(random_halves(transformer))
    key = "diffusion_model.patch_embedding.reshape_weight"
    adapter = open_adapter(transformer, tmp_path, {**plain, key: torch.tensor([24, 36, 1, 2, 2])})
    assert adapter.notes == (f"adapter adapter.safetensors: {key} states the shape that the weight has; left out",)
    assert "patch_embedding.weight" not in adapter
    with pytest.raises(ExportError, match=rf"{key} makes the weight \[24, 52, 1, 2, 2\], the checkpoint's is \[24, 36"):
        open_adapter(transformer, tmp_path, {**plain, key: torch.tensor([24, 52, 1, 2, 2])})


def test_tensors_without_values_are_left_out_and_told(transformer: WanTransformer3DModel, tmp_path: Path) -> None:
    tensors = {**diffusers_layout(random_halves(transformer)), "training_state": torch.empty(0)}
    adapter = open_adapter(transformer, tmp_path, tensors)
    assert adapter.notes == ("adapter adapter.safetensors: 1 key without values left out",)


def test_an_adapter_that_changes_nothing_is_told(transformer: WanTransformer3DModel, tmp_path: Path) -> None:
    halves = {name: (down, torch.zeros_like(up)) for name, (down, up) in random_halves(transformer).items()}
    tensors = {**diffusers_layout(halves), "transformer.proj_out.diff_b": torch.zeros(64)}
    adapter = open_adapter(transformer, tmp_path, tensors)
    zero = "adapter adapter.safetensors: all of its changes are zero, so that it changes nothing"
    assert adapter.notes == (zero,)
    tensors["transformer.proj_out.diff_b"][5] = 1e-6
    assert open_adapter(transformer, tmp_path, tensors).notes == ()
    told = open_adapter(transformer, tmp_path, diffusers_layout(random_halves(transformer)), strength=0.0).notes
    assert told == ("adapter adapter.safetensors: has the strength 0 and changes nothing",)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_values_that_are_not_finite_are_refused_by_name(
    transformer: WanTransformer3DModel, tmp_path: Path, value: float, dtype: torch.dtype
) -> None:
    tensors = {name: tensor.to(dtype) for name, tensor in diffusers_layout(random_halves(transformer)).items()}
    name = "transformer.blocks.1.ffn.net.2.lora_B.weight"
    tensors[name][3, 2] = value
    with pytest.raises(ExportError, match=rf"adapter\.safetensors: {name} holds values that are not finite numbers"):
        open_adapter(transformer, tmp_path, tensors)


def test_a_change_that_overflows_is_refused(transformer: WanTransformer3DModel, tmp_path: Path) -> None:
    tensors = _pair("transformer.blocks.0.attn1.to_q")
    adapter = open_adapter(transformer, tmp_path, {name: tensor * 1e30 for name, tensor in tensors.items()})
    name = "blocks.0.attn1.to_q.weight"
    with pytest.raises(ExportError, match=rf"its change of {name} is too large for a number in 32 bits"):
        adapter.added_to(name, transformer.get_parameter(name))


def test_halves_in_plain_8_bit_floats_are_fused(transformer: WanTransformer3DModel, tmp_path: Path) -> None:
    down, up = torch.full((4, 24), 0.5), torch.full((24, 4), 0.25)
    for dtype in (torch.float8_e4m3fn, torch.float8_e5m2):
        tensors = {
            "transformer.blocks.0.attn1.to_q.lora_A.weight": down.to(dtype),
            "transformer.blocks.0.attn1.to_q.lora_B.weight": up.to(dtype),
        }
        fused = open_adapter(transformer, tmp_path, tensors).added_to("blocks.0.attn1.to_q.weight", torch.zeros(24, 24))
        torch.testing.assert_close(fused, torch.full((24, 24), 0.5), rtol=0, atol=0)


_REFUSED_KEYS = {
    "scaled 8-bit floats": ["scaled_fp8", "M.scale_weight", "M.weight_scale", "M.lora_up.scale_weight"],
    "quantised tensors": ["M.weight.absmax", "M.weight.quant_state.bitsandbytes__nf4", "M.qweight"],
    "(IA)³": ["M.on_input", "M.ia3_l"],
    "GLoRA": ["M.a1.weight", "M.b2.weight"],
    "OFT, BOFT": ["M.oft_blocks", "M.oft_R.default.weight", "M.boft_R", "M.boft_s"],
    "T-LoRA": ["M.lambda_layer"],
    "VeRA": ["M.vera_lambda_b", "M.vera_lambda_d"],
    "weights to set": ["M.set_weight"],
}


@pytest.mark.parametrize("form", REFUSED, ids=[form.name for form in REFUSED])
def test_a_form_that_is_no_product_is_refused_by_its_name(
    transformer: WanTransformer3DModel, tmp_path: Path, form: object
) -> None:
    from export.weights.lora.forms import AdapterForm

    assert isinstance(form, AdapterForm)
    for key in _REFUSED_KEYS[form.name]:
        name = key.replace("M", "diffusion_model.blocks.0.self_attn.q")
        tensors = {**official_layout(random_halves(transformer)), name: torch.ones(2)}
        with pytest.raises(ExportError) as refusal:
            open_adapter(transformer, tmp_path, tensors)
        assert str(refusal.value) == f"adapter.safetensors: {form.refusal} ({name})"


def test_tensors_that_are_no_floats_and_whole_checkpoints_are_refused(
    transformer: WanTransformer3DModel, tmp_path: Path
) -> None:
    tensors = _pair("transformer.blocks.0.attn1.to_q")
    whole = {name: tensor.to(torch.int8) for name, tensor in tensors.items()}
    with pytest.raises(ExportError, match=r"is stored as I8; give the adapter in bfloat16 or float16"):
        open_adapter(transformer, tmp_path, whole)
    weights = {f"model.diffusion_model.{name}": tensor for name, tensor in transformer.state_dict().items()}
    with pytest.raises(ExportError, match=r"holds whole weights, as a checkpoint does, and no adapter; give a LoRA"):
        open_adapter(transformer, tmp_path, weights)


def _rows_of_the_page() -> list[tuple[str, str]]:
    """The first and the last cell of each row of the table of keys in the page about inputs."""
    text = (DOCUMENTATION / "inputs.md").read_text(encoding="utf-8")
    table = text.partition("| keys | what happens | sentence |\n|---|---|---|\n")[2].partition("\n\n")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()]
    return [(row[0], row[-1].strip("“”")) for row in rows]


_NAN = {"transformer.proj_out.diff_b": torch.full((64,), torch.nan)}
_CASES: dict[str, tuple[dict[str, Tensor], dict[str, object]]] = {
    "two ways": (_pair("blocks.0.self_attn.q") | _pair("blocks.0.attn1.to_k"), {}),
    "without a parameter": (_pair("blocks.7.self_attn.q"), {}),
    "`k_img`": (_pair("blocks.0.cross_attn.k_img") | _pair("blocks.0.self_attn.q"), {"skips_image_keys": True}),
    "of a text encoder": (_pair("lora_te_x") | _pair("blocks.0.self_attn.q"), {}),
    "`reshape_weight`": (
        _pair("blocks.0.self_attn.q") | {"patch_embedding.reshape_weight": torch.tensor([24, 36, 1, 2, 2])},
        {},
    ),
    "without values": (_pair("blocks.0.self_attn.q") | {"x": torch.empty(0)}, {}),
    "with values that are not finite": (_NAN, {}),
    "whole weights": ({"blocks.0.self_attn.q.weight": torch.ones(24, 24)}, {}),
    "all changes zero": ({"transformer.proj_out.diff_b": torch.zeros(64)}, {}),
}


def test_every_row_of_the_page_has_a_case() -> None:
    assert [next(case for case in _CASES if keys.startswith(case)) for keys, _ in _rows_of_the_page()] == list(_CASES)


@pytest.mark.parametrize(("keys", "sentence"), _rows_of_the_page())
def test_the_page_has_the_sentence_that_one_gets(
    transformer: WanTransformer3DModel, tmp_path: Path, keys: str, sentence: str
) -> None:
    tensors, options = next(case for name, case in _CASES.items() if keys.startswith(name))
    try:
        said = "\n".join(open_adapter(transformer, tmp_path, tensors, **options).notes)
    except ExportError as refusal:
        said = str(refusal)
    pattern = re.escape(sentence).replace("FILE", r"adapter\.safetensors").replace("KEY", r"\S+(?:, \S+)*")
    assert re.fullmatch(re.sub(r"\d+(?=\\ keys)", r"\\d+", pattern).replace("…", ".*"), said), said
