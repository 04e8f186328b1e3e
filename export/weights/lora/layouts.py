"""Key names of adapter files: three layouts for Wan, mapped to parameters of the checkpoint.

* ``transformer.blocks.0.attn1.to_q.lora_A.weight``: Diffusers and PEFT, modules as in the checkpoint;
* ``diffusion_model.blocks.0.self_attn.q.lora_down.weight``: the official modules, as ComfyUI and LightX2V write them,
  also with ``lora_A``/``lora_B``, ``diff`` (added to the weight), ``diff_b`` (to the bias) and ``diff_m`` (to the
  modulation of a block);
* ``lora_unet_blocks_0_self_attn_q.lora_down.weight``: kohya and musubi, official modules with underscores.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

Role = Literal["down", "up", "alpha", "weight", "bias", "modulation"]

# Endings of keys; longer ones first where one is the end of another.
_ENDINGS: tuple[tuple[str, Role], ...] = (
    (".lora_A.default.weight", "down"),
    (".lora_B.default.weight", "up"),
    (".lora_A.weight", "down"),
    (".lora_B.weight", "up"),
    (".lora_down.weight", "down"),
    (".lora_up.weight", "up"),
    (".lora.down.weight", "down"),
    (".lora.up.weight", "up"),
    (".lora_B.bias", "bias"),
    (".alpha", "alpha"),
    (".diff_m", "modulation"),
    (".diff_b", "bias"),
    (".diff", "weight"),
)
_PREFIXES = ("base_model.model.", "model.diffusion_model.", "diffusion_model.")

# From Diffusers' module names to the official ones (diffusers/scripts/convert_wan_to_diffusers.py, read backwards).
_OFFICIAL = (
    (r"\.attn1\.", ".self_attn."),
    (r"\.attn2\.", ".cross_attn."),
    (r"\.to_out\.0$", ".o"),
    (r"\.to_([qkv])$", r".\1"),
    (r"\.ffn\.net\.0\.proj$", ".ffn.0"),
    (r"\.ffn\.net\.2$", ".ffn.2"),
    (r"(blocks\.\d+)\.norm2$", r"\1.norm3"),
    (r"^condition_embedder\.time_proj$", "time_projection.1"),
    (r"^condition_embedder\.(time|text)_embedder\.linear_1$", r"\1_embedding.0"),
    (r"^condition_embedder\.(time|text)_embedder\.linear_2$", r"\1_embedding.2"),
    (r"^proj_out$", "head.head"),
)


@dataclass(frozen=True)
class ParameterChange:
    """The parameter that a key of an adapter changes, and how.

    ``module`` is the key without its ending, which all keys of one module share.
    """

    parameter: str
    role: Role
    module: str


class ParameterNames:
    """Finds parameters of a transformer by the names that adapters give them."""

    def __init__(self, parameters: Iterable[str]) -> None:
        self._parameters = set(parameters)
        modules = {name.rpartition(".")[0] for name in self._parameters if name.endswith((".weight", ".bias"))}
        self._modules: dict[str, str] = {}
        for module in modules:
            official = official_name(module)
            for alias in (module, official, *(f"lora_unet_{item.replace('.', '_')}" for item in (module, official))):
                self._modules[alias] = module

    def change(self, key: str) -> ParameterChange | None:
        """The change that a key stands for; None if this transformer has no such parameter."""
        for ending, role in _ENDINGS:
            if key.endswith(ending):
                module = _without_prefix(key.removesuffix(ending))
                parameter = self._parameter(module, role)
                return ParameterChange(parameter, role, module) if parameter in self._parameters else None
        return None

    def _parameter(self, module: str, role: Role) -> str:
        if role == "modulation":  # of a block, or of the head, whose table lies at the top
            return "scale_shift_table" if module == "head" else f"{module}.scale_shift_table"
        return f"{self._modules.get(module, module)}.{'bias' if role == 'bias' else 'weight'}"


def official_name(module: str) -> str:
    """The official repository's name for a module of Diffusers' ``WanTransformer3DModel``."""
    for pattern, replacement in _OFFICIAL:
        module = re.sub(pattern, replacement, module)
    return module


def of_component(keys: Iterable[str], component: str) -> list[str]:
    """The keys that belong to one expert.

    A file for both experts has keys below ``transformer.`` and ``transformer_2.``. A file for one expert, whichever,
    has keys below ``transformer.`` alone: then all of its keys belong.
    """
    keys = list(keys)
    experts = {prefix for key in keys if (prefix := key.partition(".")[0]) in {"transformer", "transformer_2"}}
    if len(experts) < 2:
        return keys
    return [key for key in keys if key.partition(".")[0] not in experts - {component}]


def _without_prefix(module: str) -> str:
    for prefix in _PREFIXES:
        module = module.removeprefix(prefix)
    return re.sub(r"^transformer(_2)?\.", "", module)


def metadata_scale(metadata: Mapping[str, object], module: str) -> float | None:
    """The scale of a module, alpha / rank, from Diffusers' ``lora_adapter_metadata``; None if it is not stated.

    By PEFT's rules a pattern matches modules whose name ends with it, and ``use_rslora`` divides by the root of the
    rank.
    """
    settings = {re.sub(r"^transformer(_2)?\.", "", key): item for key, item in metadata.items()}
    alpha = _by_pattern(settings.get("alpha_pattern"), module, settings.get("lora_alpha"))
    rank = _by_pattern(settings.get("rank_pattern"), module, settings.get("r"))
    if not isinstance(alpha, int | float) or not isinstance(rank, int | float):
        return None
    return float(alpha / (rank**0.5 if settings.get("use_rslora") else rank))


def _by_pattern(patterns: object, module: str, default: object) -> object:
    for pattern, value in patterns.items() if isinstance(patterns, dict) else ():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return value
    return default
