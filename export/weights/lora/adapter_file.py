"""One adapter file: keys with shapes and types from its header, settings from its metadata, tensors one at a time."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from export.errors import ExportError
from export.weights.files.recognition import recognise

_Role = TypeVar("_Role", bound=str)
_METADATA_KEY = "lora_adapter_metadata"
# PEFT writes these two files into one folder; the first alone does not state alpha.
_PEFT_NAME, _PEFT_SETTINGS_NAME = "adapter_model.safetensors", "adapter_config.json"
# Formats of weights that hold no adapter that can be read, and the remedy.
OTHER_FORMATS: Mapping[str, str] = {
    "torch": "is a PyTorch file (pickle); give the adapter as safetensors, which most of them are published in",
    "gguf": "is a GGUF file, which holds no adapter; give the adapter as safetensors",
}
_FLOATS = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")
_INTEGERS = ("I64", "I32", "I16", "I8", "U8")


@dataclass(frozen=True)
class AdapterFile:
    """The header of an adapter.

    ``settings`` are PEFT's, by names that may have a prefix: from the metadata, where Diffusers stores them, or from
    ``settings_file``, which PEFT writes beside the adapter.
    """

    path: Path
    shapes: Mapping[str, tuple[int, ...]]
    dtypes: Mapping[str, str]
    settings: Mapping[str, object]
    settings_file: Path | None = None

    @classmethod
    def open(cls, path: Path) -> AdapterFile:
        """Reads the header. Raises ``ExportError`` that says what the file is, if it is no safetensors file."""
        file_format = recognise(path)
        if file_format != "safetensors":
            raise ExportError(f"adapter {path}: {OTHER_FORMATS[file_format]}")
        try:
            with safe_open(path, framework="pt") as opened:
                slices = {key: opened.get_slice(key) for key in opened.keys()}  # noqa: SIM118
                shapes = {key: tuple(item.get_shape()) for key, item in slices.items()}
                dtypes = {key: str(item.get_dtype()) for key, item in slices.items()}
                stated = (opened.metadata() or {}).get(_METADATA_KEY)
            beside = path.with_name(_PEFT_SETTINGS_NAME)
            settings_file = beside if stated is None and path.name == _PEFT_NAME and beside.is_file() else None
            if settings_file is not None:
                stated = settings_file.read_text(encoding="utf-8")
            settings = json.loads(stated or "{}")
        except (OSError, SafetensorError, ValueError, RecursionError) as error:
            raise ExportError(
                f"cannot read adapter {path}: {error}; give a LoRA in safetensors, downloaded whole"
            ) from error
        if not isinstance(settings, dict):
            source = _METADATA_KEY if settings_file is None else settings_file.name
            raise ExportError(f"adapter {path}: its {source} is no JSON object; download the file again")
        return cls(path, shapes, dtypes, settings, settings_file)

    @property
    def name(self) -> str:
        """The file's name, for messages."""
        return self.path.name

    def read(self, keys: Mapping[_Role, str]) -> dict[_Role, Tensor]:
        """The tensors of the keys by role, float32. Raises ``ExportError`` for a value that is not finite."""
        tensors: dict[_Role, Tensor] = {}
        with safe_open(self.path, framework="pt") as opened:
            for role, key in keys.items():
                tensor: Tensor = opened.get_tensor(key)
                self._check_finite(key, tensor)
                tensors[role] = tensor.to(torch.float32)
        return tensors

    def is_zero(self, keys: Mapping[_Role, str]) -> dict[_Role, bool]:
        """Whether each tensor holds zeros alone. Raises ``ExportError`` for a value that is not finite."""
        with safe_open(self.path, framework="pt") as opened:
            return {role: self._check_finite(key, opened.get_tensor(key)) == 0 for role, key in keys.items()}

    def _check_finite(self, key: str, tensor: Tensor) -> float:
        """The largest absolute value; one pass over the tensor in its own type."""
        if tensor.dtype.itemsize == 1 or not tensor.is_floating_point():  # torch has no extremes of 8-bit floats
            tensor = tensor.to(torch.float32)
        lowest, highest = (float(extreme) for extreme in torch.aminmax(tensor))
        largest = max(-lowest, highest)  # NaN, if there is one, is both extremes
        if not math.isfinite(largest):
            raise ExportError(
                f"{self.name}: {key} holds values that are not finite numbers; download the adapter again, and if they "
                "stay, give another one"
            )
        return largest

    def check_type(self, key: str, *, also_integers: bool = False) -> None:
        """Refuses a tensor of a type that stores no plain floating-point numbers. Raises ``ExportError``."""
        if self.dtypes[key] not in (*_FLOATS, *(_INTEGERS if also_integers else ())):
            raise ExportError(
                f"{self.name}: {key} is stored as {self.dtypes[key]}; give the adapter in bfloat16 or float16"
            )


def stated_scale(settings: Mapping[str, object], prefix: str, module: str) -> float | None:
    """The scale of a module, alpha / rank, by the settings in a file's metadata; None if they do not state it.

    Settings of a file for both experts stand below the prefix of each, others below any prefix or none. By PEFT's
    rules a pattern matches modules whose name ends with it, and ``use_rslora`` divides by the root of the rank.
    """
    groups: dict[str, dict[str, object]] = {}
    for key, value in settings.items():
        group, _, name = key.rpartition(".")
        groups.setdefault(group, {})[name] = value
    own = groups.get(prefix.removesuffix("."), next(iter(groups.values())) if len(groups) == 1 else {})
    alpha = _by_pattern(own.get("alpha_pattern"), module, own.get("lora_alpha", own.get("alpha")))
    rank = _by_pattern(own.get("rank_pattern"), module, own.get("r"))
    if not isinstance(alpha, int | float) or not isinstance(rank, int | float) or rank <= 0:
        return None
    return float(alpha / (rank**0.5 if own.get("use_rslora") else rank))


def _by_pattern(patterns: object, module: str, default: object) -> object:
    for pattern, value in patterns.items() if isinstance(patterns, dict) else ():
        try:
            if re.match(rf"(.*\.)?({pattern})$", module):
                return value
        except re.error:
            continue
    return default
