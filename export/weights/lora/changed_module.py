"""The keys of an adapter that change one module, and the check that their tensors fit the module's parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from export.errors import ExportError
from export.weights.lora.adapter_file import AdapterFile
from export.weights.lora.forms import Role
from export.weights.lora.products import FACTORS, IncompleteProduct, decomposed, product
from export.weights.lora.selection import Selection

NEEDS_FACTORS: frozenset[Role] = FACTORS | {"alpha", "magnitude", "up_bias"}
# Roles that are added to a parameter, by the last part of its name.
ADDED: Mapping[str, tuple[Role, ...]] = {
    "weight": ("weight",),
    "bias": ("bias", "up_bias"),
    "scale_shift_table": ("modulation",),
}


@dataclass
class ChangedModule:
    """Keys of the file that change one module, by role, and the parameters that they change."""

    name: str
    keys: dict[Role, str] = field(default_factory=dict)
    parameters: dict[Role, str] = field(default_factory=dict)


def changed_modules(file: AdapterFile, selection: Selection) -> tuple[ChangedModule, ...]:
    """The modules that the selected keys change. Raises ``ExportError`` for two keys of one role."""
    modules: dict[str, ChangedModule] = {}
    for change in selection.changes:
        module = modules.setdefault(change.module, ChangedModule(change.module))
        if change.role in module.keys:
            raise ExportError(
                f"{file.name}: {change.key} and {module.keys[change.role]} change the same weight; remove one"
            )
        module.keys[change.role] = change.key
        module.parameters[change.role] = change.parameter
    return tuple(modules.values())


def check_module(file: AdapterFile, module: ChangedModule, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuses factors that make no weight of the parameter's shape, and differences of another shape.

    Raises ``ExportError``. Computes on the meta device, without values.
    """
    for role, key in module.keys.items():
        file.check_type(key, also_integers=role == "alpha")
        if role == "alpha" and math.prod(file.shapes[key]) != 1:
            raise ExportError(f"{file.name}: {key} has shape {list(file.shapes[key])}; alpha is one number")
    if NEEDS_FACTORS & module.keys.keys():
        others = (module.parameters[role] for role in module.keys if role in NEEDS_FACTORS and role != "up_bias")
        parameter = next(others, "")
        factors: dict[Role, str] = {
            role: key for role, key in module.keys.items() if role in FACTORS or role == "magnitude"
        }
        tensors = {role: torch.empty(file.shapes[key], device="meta") for role, key in factors.items()}
        try:
            change = product(tensors, shapes.get(parameter, ()))
            if "magnitude" in tensors:
                decomposed(change, tensors["magnitude"])
        except IncompleteProduct as error:
            key = next(key for role, key in module.keys.items() if role in NEEDS_FACTORS)
            raise ExportError(f"{file.name}: {key} lacks its down or up half; download the adapter again") from error
        except (ValueError, RuntimeError, IndexError) as error:
            given = " and ".join(f"{key} {list(file.shapes[key])}" for key in factors.values())
            raise ExportError(
                f"{file.name}: {given} do not make a weight {list(shapes[parameter])}; give an adapter that was made "
                "for this checkpoint"
            ) from error
    for role in (role for roles in ADDED.values() for role in roles if role in module.keys):
        found, expected = file.shapes[module.keys[role]], shapes[module.parameters[role]]
        if math.prod(found) != math.prod(expected):
            raise ExportError(
                f"{file.name}: {module.keys[role]} has shape {list(found)}, the weight has {list(expected)}; give an "
                "adapter that was made for this checkpoint"
            )
