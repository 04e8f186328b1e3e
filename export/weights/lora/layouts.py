"""Names of modules in adapter files, mapped to parameters of the checkpoint.

A file names modules as Diffusers does (``blocks.0.attn1.to_q``) or as the official repository does
(``blocks.0.self_attn.q``), with points or with underscores between the parts (``blocks_0_self_attn_q``). Whatever
stands before that and fits all keys of the file is its prefix: ``transformer.``, ``diffusion_model.``,
``base_model.model.``, ``lora_unet_``, ``lycoris_``, ``pipe.dit.``, or nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from export.weights.lora.forms import Role, split_key
from export.weights.names.layout import name_table

_OFFICIAL = name_table("transformer", "official")
_SUFFIXES: Mapping[Role, str] = {"bias": "bias", "up_bias": "bias", "modulation": "scale_shift_table"}


@dataclass(frozen=True)
class _Spelling:
    """One way to write all keys of a file: the prefix, and the names that follow it."""

    prefix: str
    names: str


@dataclass(frozen=True)
class ParameterChange:
    """A key of an adapter: the parameter that it changes, its role, and the key without prefix and ending."""

    key: str
    parameter: str
    role: Role
    module: str


@dataclass(frozen=True)
class FoundChanges:
    """The keys of a file, each with its change. ``unknown`` are keys without a parameter.

    ``mixed`` are two keys that are not spelled in one way; then ``changes`` is empty.
    """

    prefix: str
    changes: tuple[ParameterChange, ...]
    unknown: tuple[str, ...] = ()
    mixed: tuple[str, str] | None = None


@dataclass
class _Module:
    """A module under one of its names: the parameters that it has, by suffix, and the conventions of the name."""

    parameters: dict[str, str] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)


class ParameterNames:
    """Finds parameters of a transformer by the names that adapters give them."""

    def __init__(self, parameters: Iterable[str]) -> None:
        self._parameters = frozenset(parameters)
        self._modules: dict[str, _Module] = {}
        for parameter in self._parameters:
            module, _, suffix = parameter.rpartition(".")
            if suffix in {"weight", "bias"}:
                self._add("Diffusers", module, suffix, parameter)
                self._add("official", _OFFICIAL.module_from_diffusers(module) or module, suffix, parameter)
            elif suffix == "scale_shift_table":  # of a block, or of the head, whose table lies at the top
                for names in ("Diffusers", "official"):
                    self._add(names, module or "head", suffix, parameter)

    def find(self, keys: Iterable[str]) -> FoundChanges:
        """Finds the spelling that fits all keys, and the parameter of each."""
        unknown: list[str] = []
        found: list[tuple[str, str, Role]] = []
        left: set[_Spelling] | None = None
        for key in keys:
            parts = split_key(key)
            spellings = self._spellings(*parts) if parts else set()
            if parts is None or not spellings:
                unknown.append(key)
                continue
            if left is not None and not left & spellings:
                return FoundChanges("", (), tuple(unknown), (found[0][0], key))
            left = spellings if left is None else left & spellings
            found.append((key, *parts))
        if left is None:
            return FoundChanges("", (), tuple(unknown))
        prefix = min(spelling.prefix for spelling in left)
        return FoundChanges(prefix, tuple(self._change(prefix, *item) for item in found), tuple(unknown))

    def names_parameter(self, key: str) -> bool:
        """Whether a key with any prefix is the name of a weight or bias itself, as in a checkpoint."""
        module, _, suffix = key.rpartition(".")
        return any(suffix in found.parameters for _, found in self._matches(module))

    def _add(self, names: str, module: str, suffix: str, parameter: str) -> None:
        for separator in "._":
            found = self._modules.setdefault(module.replace(".", separator), _Module())
            found.parameters[suffix] = parameter
            found.names.add(f"{names}{separator}")

    def _matches(self, module: str) -> Iterable[tuple[str, _Module]]:
        """Every prefix after which the rest is the name of a module."""
        for start in range(len(module)):
            if start == 0 or not module[start - 1].isalnum():
                found = self._modules.get(module[start:])
                if found is not None:
                    yield module[:start], found

    def _spellings(self, module: str, role: Role) -> set[_Spelling]:
        suffix = _SUFFIXES.get(role, "weight")
        return {
            _Spelling(prefix, names)
            for prefix, found in self._matches(module)
            if suffix in found.parameters
            for names in found.names
        }

    def _change(self, prefix: str, key: str, module: str, role: Role) -> ParameterChange:
        module = module.removeprefix(prefix)
        return ParameterChange(key, self._modules[module].parameters[_SUFFIXES.get(role, "weight")], role, module)
