"""The forms of adapters: what the end of each key says, which forms are fused, and which are refused.

A form of LoRA's family adds a product of the file's tensors to a weight (``products``). ``REFUSED`` are forms that
change the computation in another way, or that are stored so that nothing can be added.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Role = Literal[
    "down", "up", "mid",
    "lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2",
    "hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2",
    "magnitude", "alpha", "weight", "bias", "up_bias", "modulation", "reshape",
]  # fmt: skip

_ADAPTER_NAME = r"(\.[^.]+)?"  # PEFT's name of the adapter, ``default`` in most files
_FACTOR_NAMES: tuple[Role, ...] = (
    "lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2",
    "hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2",
)  # fmt: skip
_ROLE_PATTERNS: tuple[tuple[str, Role], ...] = (
    (rf"\.lora_A{_ADAPTER_NAME}\.weight|\.lora_A|[._]lora(_linear_layer)?[._]down\.weight", "down"),
    (rf"\.lora_B{_ADAPTER_NAME}\.weight|\.lora_B|[._]lora(_linear_layer)?[._]up\.weight", "up"),
    (r"\.lora_mid\.weight", "mid"),
    (rf"\.lora_B{_ADAPTER_NAME}\.bias|\.lora_up\.bias", "up_bias"),
    (rf"\.dora_scale|\.lora_magnitude_vector{_ADAPTER_NAME}(\.weight)?", "magnitude"),
    (r"\.alpha", "alpha"),
    (r"\.diff|\.w_norm", "weight"),
    (r"\.diff_b|\.b_norm", "bias"),
    (r"\.diff_m", "modulation"),
    (r"\.reshape_weight", "reshape"),
    *((rf"\.{name}{_ADAPTER_NAME}", name) for name in _FACTOR_NAMES),
)
_ENDINGS = tuple((re.compile(rf"(?:{pattern})$"), role) for pattern, role in _ROLE_PATTERNS)


@dataclass(frozen=True)
class AdapterForm:
    """A form of adapters. ``keys`` are endings for the documentation; ``refusal`` is empty for a form that is fused.

    ``pattern`` finds a key of a refused form.
    """

    name: str
    keys: tuple[str, ...]
    effect: str = ""
    refusal: str = ""
    pattern: re.Pattern[str] = re.compile(r"(?!)")


ACCEPTED: tuple[AdapterForm, ...] = (
    AdapterForm(
        "LoRA",
        ("lora_A.weight, lora_B.weight", "lora_down.weight, lora_up.weight", "lora.down.weight, lora.up.weight"),
        "alpha / rank · up · down; with `lora_mid.weight` a convolution of three factors",
    ),
    AdapterForm("LoHa", ("hada_w1_a, …_b, hada_w2_a, …_b", "hada_t1, hada_t2"), "alpha / rank · (a₁ · b₁) ⊙ (a₂ · b₂)"),
    AdapterForm(
        "LoKr",
        ("lokr_w1 or lokr_w1_a, …_b", "lokr_w2 or lokr_w2_a, …_b", "lokr_t2"),
        "w₁ ⊗ w₂; alpha / rank counts where a half is factorised",
    ),
    AdapterForm(
        "DoRA",
        ("dora_scale", "lora_magnitude_vector"),
        "of each of the above: the sum is scaled to the stored length of each row or column; a strength other than 1 "
        "moves that share of the way from the weight to the result",
    ),
    AdapterForm("differences", ("diff, w_norm", "diff_b, b_norm", "diff_m"), "added to weight, bias, modulation"),
    AdapterForm("bias of an up half", ("lora_B.bias", "lora_up.bias"), "alpha / rank · bias"),
)

REFUSED: tuple[AdapterForm, ...] = (
    AdapterForm(
        "scaled 8-bit floats",
        ("scaled_fp8", "scale_weight", "weight_scale"),
        refusal="is stored in scaled 8-bit floats, whose scales are no part of an adapter; give it in bfloat16 or "
        "float16",
        pattern=re.compile(r"(^|\.)(scaled_fp8|scale_weight|scale_input|(weight|input)_scale(_inv)?|comfy_quant)$"),
    ),
    AdapterForm(
        "quantised tensors",
        ("absmax", "quant_map", "quant_state…"),
        refusal="is quantised; give it in bfloat16 or float16",
        pattern=re.compile(r"\.(absmax|quant_map|nested_absmax|quant_state(\..*)?|qweight|qzeros|SCB)$"),
    ),
    AdapterForm(
        "(IA)³",
        ("on_input", "ia3_l"),
        refusal="is an (IA)³ adapter, which scales inputs or outputs; give a LoRA, LoHa, LoKr or DoRA",
        pattern=re.compile(rf"\.(on_input|ia3_l{_ADAPTER_NAME})$"),
    ),
    AdapterForm(
        "GLoRA",
        ("a1.weight, a2.weight, b1.weight, b2.weight",),
        refusal="is a GLoRA, which multiplies the weight itself by a matrix; give a LoRA, LoHa, LoKr or DoRA",
        pattern=re.compile(r"\.(a1|a2|b1|b2|bm)\.weight$"),
    ),
    AdapterForm(
        "OFT, BOFT",
        ("oft_blocks", "oft_R", "boft_R"),
        refusal="is an OFT or BOFT adapter, which rotates weights; give a LoRA, LoHa, LoKr or DoRA",
        pattern=re.compile(rf"\.(oft_blocks|oft_diag|oft_[rR]|boft_[RSrs]){_ADAPTER_NAME}(\.weight)?$"),
    ),
    AdapterForm(
        "T-LoRA",
        ("q_layer.weight, p_layer.weight, lambda_layer",),
        refusal="is a T-LoRA, whose rank follows the noise level; give a LoRA, LoHa, LoKr or DoRA",
        pattern=re.compile(r"\.(lambda_layer|[pq]_layer\.weight)$"),
    ),
    AdapterForm(
        "VeRA",
        ("vera_lambda_b, vera_lambda_d",),
        refusal="is a VeRA, whose random factors are not in the file; give a LoRA, LoHa, LoKr or DoRA",
        pattern=re.compile(rf"(^|\.)vera_(lambda_[bd]|[AB]){_ADAPTER_NAME}$"),
    ),
    AdapterForm(
        "weights to set",
        ("set_weight",),
        refusal="replaces weights instead of adding to them; give a LoRA, LoHa, LoKr or DoRA",
        pattern=re.compile(r"\.set_weight$"),
    ),
)

_TEXT_ENCODER = re.compile(r"((lora|lycoris)_te\d?_|text_encoders?(_\d)?\.|cond_stage_model\.|conditioner\.|te\d?\.)")
_IMAGE_KEY = re.compile(
    r"(^|[._])(norm_k_img|k_img|v_img|img_emb|add_k_proj|add_v_proj|norm_added_k|image_embedder)(?=[._])"
)


def split_key(key: str) -> tuple[str, Role] | None:
    """The module that a key names, with any prefix, and the key's role; None for an ending that no form has."""
    for pattern, role in _ENDINGS:
        if found := pattern.search(key):
            return key[: found.start()], role
    return None


def refused_form(keys: Iterable[str]) -> tuple[AdapterForm, str] | None:
    """The first refused form that a file has keys of, and such a key."""
    keys = list(keys)
    for form in REFUSED:
        for key in keys:
            if form.pattern.search(key):
                return form, key
    return None


def is_of_text_encoder(key: str) -> bool:
    """Whether a key changes a text encoder, which leaves the transformer as it is."""
    return _TEXT_ENCODER.match(key) is not None


def is_of_image_encoder(key: str) -> bool:
    """Whether a key changes what Wan2.1 has for the picture's CLIP embedding and Wan2.2 lacks."""
    return _IMAGE_KEY.search(key) is not None
