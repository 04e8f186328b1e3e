"""Says what a file is that is not the component it was given as.

Names of modules come from the official repositories of the models (Wan2.1, Wan2.2, VideoX-Fun, MultiTalk) and, for
models of other families, from their published checkpoints.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeGuard

from export.weights.names.layout import find_layout

_WANTED = "give an expert of Wan2.2-I2V-A14B or the transformer of Wan2.2-TI2V-5B"

_ADAPTER = r"(?:\.lora_(?:A|B|down|up)\.|\.lora\.(?:down|up)\.|\.hada_w1_|\.lokr_w1|^lora_unet_|\.diff(?:_b)?$)"
# Modules that only one kind of Wan model has; the first that fits counts.
_WAN_VARIANTS: tuple[tuple[str, str], ...] = (
    (r"(?:^|\.)vace_(?:blocks|patch_embedding)\.", "VACE, which edits clips by control inputs"),
    (r"(?:^|\.)(?:casual_audio_encoder|audio_injector|trainable_cond_mask)\.", "Wan2.2-S2V, which takes speech"),
    (r"(?:^|\.)(?:motion_encoder|face_adapter|pose_patch_embedding)\.", "Wan2.2-Animate, which takes a driving clip"),
    (r"(?:^|\.)control_adapter\.", "a Fun-Control-Camera model, which takes the path of a camera"),
    (r"(?:^|\.)ref_conv\.", "a Fun-Control model, which takes a control clip"),
    (r"(?:^|\.)audio_(?:proj|cross_attn|model)\.", "a Wan model that takes speech (MultiTalk, InfiniteTalk or HuMo)"),
    (
        r"(?:^|\.)(?:img_emb\.|image_embedder\.|cross_attn\.(?:norm_)?[kv]_img\.|attn2\.(?:add_[kv]_proj|norm_added_k)\.)",
        "Wan2.1 image-to-video, which has a CLIP image encoder",
    ),
)
_OTHER_FAMILIES: tuple[tuple[str, str], ...] = (
    (r"(?:^|\.)single_transformer_blocks\.|(?:^|\.)double_blocks\.\d+\.img_mod\.lin", "Flux or a model of its kind"),
    (r"individual_token_refiner\.|(?:^|\.)double_blocks\.\d+\.img_attn_qkv", "HunyuanVideo"),
    (r"(?:^|\.)joint_blocks\.", "Stable Diffusion 3"),
    (
        r"(?:^|\.)input_blocks\.\d+\.|(?:^|\.)down_blocks\.\d+\.(?:attentions|resnets)\.\d+\.",
        "Stable Diffusion or SDXL",
    ),
    (r"(?:^|\.)(?:adaln_single|patchify_proj)\.", "LTX-Video or PixArt"),
    (r"(?:^|\.)transformer_blocks\.\d+\.img_mod\.", "Qwen-Image"),
    (r"(?:^|\.)transformer_blocks\.\d+\.", "an image or video transformer of another family"),
    (r"(?:^|\.)(?:visual|vision_model)\.", "an image encoder"),
    (r"(?:^|\.)text_model\.encoder\.", "a CLIP text encoder"),
    (r"(?:^|\.)model\.layers\.\d+\.self_attn\.", "a language model"),
)
_CLASSES: Mapping[str, str] = {
    "WanVACETransformer3DModel": "VACE, which edits clips by control inputs",
    "VaceWanModel": "VACE, which edits clips by control inputs",
    "WanAnimateTransformer3DModel": "Wan2.2-Animate, which takes a driving clip",
    "WanAnimateModel": "Wan2.2-Animate, which takes a driving clip",
    "WanModel_S2V": "Wan2.2-S2V, which takes speech",
}
_MODEL_TYPES: Mapping[str, str] = {
    "t2v": "text-to-video, which takes no picture",
    "s2v": "Wan2.2-S2V, which takes speech",
    "animate": "Wan2.2-Animate, which takes a driving clip",
    "vace": "VACE, which edits clips by control inputs",
}
_CHANNELS = (("in_channels", "in_dim"), ("out_channels", "out_dim"))
_MAX_NAMES = 20_000  # no model has so many parameters; bounds the search in a hostile file
# Channels in and out of the two transformers of Wan2.2 image-to-video.
_IMAGE_TO_VIDEO = ((36, 16), (48, 48))


def other_transformer(
    shapes: Mapping[str, Sequence[int]], configuration: Mapping[str, Any] | None = None
) -> str | None:
    """Says what a file is, if it is no transformer of Wan2.2 image-to-video; None if it looks like one.

    ``shapes`` are those of all tensors by stored name, ``configuration`` is the ``config.json`` beside them, official
    or Diffusers'. The answer follows the name of the file: "is …; give …".
    """
    described = _by_configuration(configuration or {}) or _transformer_kind(shapes)
    if described is None:
        return None
    if re.match("an adapter", described):
        return f"is {described}; give it as --lora-high or --lora-low"
    return f"is {described}; {_WANTED}"


def recognised(shapes: Mapping[str, Sequence[int]]) -> str | None:
    """What the file of these tensors is, as a noun phrase; None if no rule knows it."""
    if _any(shapes, _ADAPTER):
        return "an adapter (LoRA)"
    variant = _first(shapes, _WAN_VARIANTS)
    if variant is not None:
        return variant
    if find_layout("transformer", tuple(shapes)) is not None:
        return "a Wan transformer"
    if (vae := find_layout("vae", tuple(shapes))) is not None:
        return f"a Wan VAE in {vae.layout} names"
    if find_layout("text_encoder", tuple(shapes)) is not None:
        return "a T5 text encoder"
    return _first(shapes, _OTHER_FAMILIES)


def _transformer_kind(shapes: Mapping[str, Sequence[int]]) -> str | None:
    found = find_layout("transformer", tuple(shapes))
    if _any(shapes, _ADAPTER) or found is None:
        return recognised(shapes) or "no Wan transformer: it has no blocks.0.self_attn and no blocks.0.attn1"
    own = [name for name in shapes if name.startswith(found.prefix)]
    variant = _first(own, _WAN_VARIANTS)
    if variant is not None:
        return variant
    stored = found.stored
    first = shapes.get(stored.get("patch_embedding.weight", ""), ())
    last = shapes.get(stored.get("proj_out.weight", ""), ())
    if len(first) != 5 or not last:
        return None  # a parameter is missing, or packed by a quantisation: not a question of the model
    patch = max(1, first[2] * first[3] * first[4])
    return _by_channels(first[1], last[0] // patch)


def other_configuration(configuration: Mapping[str, Any]) -> str | None:
    """As ``other_transformer``, from a transformer's ``config.json`` alone, in official or Diffusers' terms."""
    described = _by_configuration(configuration)
    if described is None:
        first, last = (configuration.get(keys[0], configuration.get(keys[1])) for keys in _CHANNELS)
        if not _is_count(first) or not _is_count(last):
            return None
        described = _by_channels(first, last)
    return None if described is None else f"is {described}; {_WANTED}"


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _by_configuration(configuration: Mapping[str, Any]) -> str | None:
    for key, meanings in (("_class_name", _CLASSES), ("model_type", _MODEL_TYPES)):
        value = configuration.get(key)
        if isinstance(value, str) and value in meanings:
            return meanings[value]
    if configuration.get("image_dim") is not None or configuration.get("added_kv_proj_dim") is not None:
        return "Wan2.1 image-to-video, which has a CLIP image encoder"
    return None


def _by_channels(in_channels: int, out_channels: int) -> str | None:
    if (in_channels, out_channels) in _IMAGE_TO_VIDEO:
        return None
    if in_channels == out_channels:
        return f"text-to-video, which takes no picture (its {in_channels} input channels are those of the clip)"
    return (
        f"a Wan model with {in_channels} input and {out_channels} output channels, a Fun or control model perhaps; "
        "Wan2.2 image-to-video has 36 and 16 (A14B) or 48 and 48 (5B)"
    )


def _first(names: Iterable[str], rules: Sequence[tuple[str, str]]) -> str | None:
    names = tuple(names)
    return next((meaning for pattern, meaning in rules if _any(names, pattern)), None)


def _any(names: Iterable[str], pattern: str) -> bool:
    compiled = re.compile(pattern)
    return any(compiled.search(name) for name in itertools.islice(names, _MAX_NAMES))
