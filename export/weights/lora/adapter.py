"""One adapter file, and what it adds to each parameter of a transformer."""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from engine.bundle.folder import file_sha256
from export.errors import ExportError
from export.weights.lora.adapter_file import AdapterFile, stated_scale
from export.weights.lora.changed_module import ADDED, NEEDS_FACTORS, ChangedModule, changed_modules, check_module
from export.weights.lora.forms import Role
from export.weights.lora.products import FACTORS, decomposed, product, rank_of
from export.weights.lora.selection import Selection, select_keys


class Adapter:
    """An adapter opened for one transformer. Tensors are read one module at a time.

    ``notes`` are lines about keys that were left out and about changes that change nothing.
    """

    def __init__(self, file: AdapterFile, strength: float, selection: Selection) -> None:
        self.file = file.path
        self.strength = strength
        self.notes = selection.notes
        self._opened = file
        self._prefix = selection.prefix
        self._modules = changed_modules(file, selection)
        self._by_parameter = {parameter: module for module in self._modules for parameter in module.parameters.values()}

    @classmethod
    def open(
        cls,
        file: Path,
        shapes: Mapping[str, tuple[int, ...]],
        *,
        component: str = "transformer",
        strength: float = 1.0,
        skips_image_keys: bool = False,
    ) -> Adapter:
        """Opens a file, finds the parameters of a component, given as ``shapes``, that it changes, and reads it once.

        Raises ``ExportError`` for a file that is none, for a form that is not fused, for a key without a parameter,
        for a factor without the other, for shapes that do not fit, and for values that are not finite: an adapter is
        fused whole or not at all.
        """
        if not math.isfinite(strength):
            raise ExportError(f"{file.name}: strength {strength} is not a finite number; give one such as 1 or 0.8")
        opened = AdapterFile.open(file)
        selection = select_keys(opened, shapes, component, skips_image_keys=skips_image_keys)
        adapter = cls(opened, strength, selection)
        for module in adapter._modules:
            check_module(opened, module, shapes)
        adapter.notes = (*selection.notes, *adapter._notes_on_values())
        return adapter

    @functools.cached_property
    def sha256(self) -> str:
        """The file's digest, computed once."""
        return file_sha256(self.file)

    @functools.cached_property
    def digest(self) -> str:
        """The digest of all that determines the change: the file, and the settings that lie beside it if any."""
        settings = self._opened.settings_file
        if settings is None:
            return self.sha256
        return hashlib.sha256(f"{self.sha256}\0{file_sha256(settings)}".encode()).hexdigest()

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters that the adapter changes."""
        return tuple(self._by_parameter)

    def __contains__(self, parameter: object) -> bool:
        return parameter in self._by_parameter

    def added_to(self, parameter: str, weight: Tensor) -> Tensor:
        """The weight with this adapter added, float32, in the shape of ``weight``.

        Raises ``ExportError`` if the change makes a finite weight infinite.
        """
        module = self._by_parameter[parameter]
        kind = parameter.rpartition(".")[2]
        added = ADDED[kind]
        roles = {*added, "alpha"} if kind != "weight" else {*added, *NEEDS_FACTORS}
        tensors: dict[Role, Tensor] = self._opened.read({r: key for r, key in module.keys.items() if r in roles})
        base = weight.to(torch.float32)
        scale = self._scale(module, tensors.get("alpha"))
        fused = base
        if kind == "weight" and FACTORS & tensors.keys():
            fused = product(tensors, tuple(base.shape)).mul_(scale if "magnitude" in tensors else self.strength * scale)
            fused.add_(base)
            if "magnitude" in tensors:
                fused = torch.lerp(base, decomposed(fused, tensors["magnitude"]), self.strength)
        for role in added:
            if role in tensors:
                factor = self.strength * (scale if role == "up_bias" else 1.0)
                fused = fused + factor * tensors[role].reshape(fused.shape)
        if not bool(torch.isfinite(fused).all()) and bool(torch.isfinite(base).all()):
            raise ExportError(
                f"{self.file.name}: its change of {parameter} is too large for a number in 32 bits; give a smaller "
                "strength or another adapter"
            )
        return fused

    def _scale(self, module: ChangedModule, alpha: Tensor | None) -> float:
        """Alpha divided by the rank; 1 where nothing states alpha, and for LyCORIS' LoKr of two whole matrices."""
        if alpha is not None:
            rank = rank_of({role: self._opened.shapes[key] for role, key in module.keys.items()})
            return 1.0 if rank is None else float(alpha) / rank
        stated = stated_scale(self._opened.settings, self._prefix, module.name)
        return 1.0 if stated is None else stated

    def _notes_on_values(self) -> Sequence[str]:
        """Reads every tensor once: each must be finite, and an adapter of zeros is told."""
        changing = [module for module in self._modules if self._changes_anything(module)]
        if not changing:
            return (f"adapter {self.file.name}: all of its changes are zero, so that it changes nothing",)
        if self.strength == 0:
            return (f"adapter {self.file.name}: has the strength 0 and changes nothing",)
        return ()

    def _changes_anything(self, module: ChangedModule) -> bool:
        is_zero = self._opened.is_zero(module.keys)
        has_product = bool(FACTORS & is_zero.keys()) and not any(
            is_zero[role] for role in is_zero if role in FACTORS or role == "alpha"
        )
        return (
            has_product
            or "magnitude" in is_zero
            or any(not is_zero.get(role, True) for roles in ADDED.values() for role in roles)
        )
