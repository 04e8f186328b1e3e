"""One LoRA adapter file, and what it adds to each parameter of a transformer.

An adapter adds ``strength · alpha / rank · up @ down`` to a weight (Hu et al. 2021, arXiv:2106.09685), where alpha is
the rank unless the file states it. Entries called ``diff`` are multiplied by the strength and added.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from engine.bundle.folder import file_sha256
from export.errors import ExportError
from export.weights.lora.layouts import ParameterNames, Role, metadata_scale, of_component

_MAX_NAMED_KEYS = 3
_METADATA_KEY = "lora_adapter_metadata"
_ADDED: tuple[Role, ...] = ("weight", "bias", "modulation")


@dataclass
class _Entry:
    """Keys of the file that change one parameter, by role."""

    module: str
    keys: dict[Role, str] = field(default_factory=dict)


class Adapter:
    """An adapter opened for one transformer. Tensors are read one parameter at a time."""

    def __init__(self, file: Path, strength: float, entries: Mapping[str, _Entry], metadata: dict[str, object]) -> None:
        self.file = file
        self.strength = strength
        self._entries = dict(entries)
        self._metadata = metadata

    @classmethod
    def open(
        cls, file: Path, shapes: Mapping[str, tuple[int, ...]], *, component: str = "transformer", strength: float = 1.0
    ) -> Adapter:
        """Reads the keys of a file and finds the parameters of a component, given as ``shapes``, that they change.

        Raises ``ExportError`` for a key without a parameter, for an ``up`` without its ``down`` or the reverse, and
        for shapes that do not fit: an adapter is fused whole or not at all.
        """
        if not math.isfinite(strength):
            raise ExportError(f"{file.name}: strength {strength} is not a finite number; give one such as 1 or 0.8")
        try:
            with safe_open(file, framework="pt") as opened:
                found = {key: tuple(opened.get_slice(key).get_shape()) for key in opened.keys()}  # noqa: SIM118
                metadata = json.loads((opened.metadata() or {}).get(_METADATA_KEY, "{}"))
        except (OSError, SafetensorError, ValueError) as error:
            raise ExportError(
                f"cannot read adapter {file}: {error}; give a LoRA in safetensors, downloaded whole"
            ) from error
        if any("dora_scale" in key for key in found) or any(
            key.endswith("use_dora") and metadata[key] for key in metadata
        ):
            raise ExportError(f"{file.name}: is a DoRA, which changes weights in another way; give a plain LoRA")
        keys = of_component(found, component)
        adapter = cls(file, strength, _entries(file, keys, shapes), metadata)
        for parameter, entry in adapter._entries.items():
            _check(file, entry, found, shapes[parameter])
        return adapter

    @functools.cached_property
    def sha256(self) -> str:
        """The file's digest, computed once."""
        return file_sha256(self.file)

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters that the adapter changes."""
        return tuple(self._entries)

    def __contains__(self, parameter: object) -> bool:
        return parameter in self._entries

    def added_to(self, parameter: str, weight: Tensor) -> Tensor:
        """The weight with this adapter added, float32, in the shape of ``weight``."""
        entry = self._entries[parameter]
        with safe_open(self.file, framework="pt") as opened:
            tensors = {role: opened.get_tensor(key).to(torch.float32) for role, key in entry.keys.items()}
        fused = weight.to(torch.float32)
        if "down" in tensors:
            up, down = tensors["up"].flatten(1), tensors["down"].flatten(1)  # convolutions have more axes
            scale = self.strength * self._scale(entry, tensors.get("alpha"), rank=len(down))
            fused = torch.addmm(fused.flatten(1), up, down, alpha=scale).view(fused.shape)
        for role in _ADDED:
            if role in tensors:
                fused = fused + self.strength * tensors[role].reshape(fused.shape)
        return fused

    def _scale(self, entry: _Entry, alpha: Tensor | None, rank: int) -> float:
        if alpha is not None:
            return float(alpha) / rank
        stated = metadata_scale(self._metadata, entry.module)
        return 1.0 if stated is None else stated


def _entries(file: Path, keys: Iterable[str], parameters: Iterable[str]) -> dict[str, _Entry]:
    names = ParameterNames(parameters)
    entries: dict[str, _Entry] = {}
    unknown = []
    for key in keys:
        change = names.change(key)
        if change is None:
            unknown.append(key)
            continue
        entry = entries.setdefault(change.parameter, _Entry(change.module))
        if change.role in entry.keys:
            raise ExportError(f"{file.name}: {key} and {entry.keys[change.role]} change the same weight; remove one")
        entry.keys[change.role] = key
    if unknown:
        named = ", ".join(unknown[:_MAX_NAMED_KEYS])
        more = f" and {len(unknown) - _MAX_NAMED_KEYS} more" if len(unknown) > _MAX_NAMED_KEYS else ""
        raise ExportError(
            f"{file.name}: {named}{more}: this transformer has no such weight; give an adapter that was made for this "
            "checkpoint (one of Wan2.1 image-to-video has k_img and v_img, which Wan2.2 lacks)"
        )
    if not entries:
        raise ExportError(f"{file.name}: holds no tensor for this transformer; give a LoRA of this expert")
    return entries


def _check(file: Path, entry: _Entry, found: Mapping[str, tuple[int, ...]], shape: tuple[int, ...]) -> None:
    roles: dict[Role, str] = dict(entry.keys)
    if ("down" in roles) != ("up" in roles) or ("alpha" in roles and "down" not in roles):
        raise ExportError(
            f"{file.name}: {next(iter(entry.keys.values()))} lacks its down or up half; download the adapter again"
        )
    if "down" in roles:
        down, up = found[roles["down"]], found[roles["up"]]
        rank = down[0] if down else 0
        fits = bool(rank) and math.prod(down) == rank * math.prod(shape[1:]) and math.prod(up) == shape[0] * rank
        if not fits or up[0] != shape[0]:
            raise ExportError(
                f"{file.name}: {roles['down']} {list(down)} and {roles['up']} {list(up)} do not make a weight "
                f"{list(shape)}; give an adapter that was made for this checkpoint"
            )
    for role in _ADDED:
        if role in roles and math.prod(found[roles[role]]) != math.prod(shape):
            raise ExportError(
                f"{file.name}: {roles[role]} has shape {list(found[roles[role]])}, the weight has {list(shape)}; give "
                "an adapter that was made for this checkpoint"
            )
