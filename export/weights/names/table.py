"""A name table: parameters of one component in one layout, from and to the inside names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_INDEX = re.compile(r"0|[1-9][0-9]{0,3}")
_MAX_COMPANION_SEGMENTS = 3  # quant_state.bitsandbytes__nf4 has two below ``weight``

WEIGHT = ("weight",)
WEIGHT_AND_BIAS = ("weight", "bias")
GAMMA = ("gamma",)
PARAMETER = ()
_LEAVES = {*WEIGHT_AND_BIAS, *GAMMA}
_PLACE = "{}"


@dataclass(frozen=True)
class Row:
    """One module, or with ``leaves`` () one parameter, in both layouts; ``{}`` stands for an index.

    ``leaves`` are the names of the module's parameters, which are the same in every layout.
    """

    inside: str
    stored: str
    leaves: tuple[str, ...] = WEIGHT_AND_BIAS


class NameTable:
    """Maps the names of one layout. Names that no row describes are unknown in both directions."""

    def __init__(self, rows: Iterable[Row]) -> None:
        rows = tuple(rows)
        self._inside = _Patterns((row.stored, row.inside, row.leaves) for row in rows)
        self._stored = _Patterns((row.inside, row.stored, row.leaves) for row in rows)

    def to_diffusers(self, name: str) -> str | None:
        """The inside name of a stored parameter, without prefix; None for an unknown one."""
        return self._inside.parameter(name)

    def from_diffusers(self, name: str) -> str | None:
        """The stored name of a parameter; None for one that this layout does not have."""
        return self._stored.parameter(name)

    def module_to_diffusers(self, module: str) -> str | None:
        """The inside name of a module that has parameters, such as ``blocks.0.self_attn.q``; None if unknown."""
        return self._inside.module(module)

    def module_from_diffusers(self, module: str) -> str | None:
        """The stored name of a module that has parameters; None if unknown."""
        return self._stored.module(module)

    def companion(self, name: str) -> tuple[str, str] | None:
        """Inside module and ending of a tensor that belongs to a known module but is none of its parameters.

        ``blocks.0.self_attn.q.scale_weight`` gives ``("blocks.0.attn1.to_q", "scale_weight")``: scales and other
        tensors of quantised weights.
        """
        if self.to_diffusers(name) is not None:
            return None
        segments = name.split(".")
        for count in range(1, min(_MAX_COMPANION_SEGMENTS, len(segments) - 1) + 1):
            module = self.module_to_diffusers(".".join(segments[:-count]))
            if module is not None:
                ending = ".".join(segments[-count:])
                return None if ending in _LEAVES else (module, ending)
        return None


class _Patterns:
    """Rows of one direction, looked up by the name with its indices replaced, in constant time for each name."""

    def __init__(self, rows: Iterable[tuple[str, str, tuple[str, ...]]]) -> None:
        self._rows: dict[str, tuple[str, tuple[str, ...]]] = {}
        places: set[tuple[int, ...]] = set()
        for pattern, target, leaves in rows:
            self._rows.setdefault(pattern, (target, leaves))  # the first of two aliases wins
            places.add(tuple(place for place, segment in enumerate(pattern.split(".")) if segment == _PLACE))
        self._places = sorted(places, key=lambda place: (-len(place), place))

    def parameter(self, name: str) -> str | None:
        module, _, leaf = name.rpartition(".")
        found = self._find(module)
        if found is not None and leaf in found[1]:
            return f"{found[0]}.{leaf}"
        found = self._find(name)
        return found[0] if found is not None and not found[1] else None

    def module(self, name: str) -> str | None:
        found = self._find(name)
        return found[0] if found is not None and found[1] else None

    def _find(self, name: str) -> tuple[str, tuple[str, ...]] | None:
        segments = name.split(".")
        if _PLACE in segments:
            return None
        for places in self._places:
            if places and places[-1] >= len(segments):
                continue
            indices = [segments[place] for place in places]
            if not all(_INDEX.fullmatch(index) for index in indices):
                continue
            pattern = list(segments)
            for place in places:
                pattern[place] = _PLACE
            found = self._rows.get(".".join(pattern))
            if found is not None:
                return found[0].format(*indices), found[1]
        return None


def identity(rows: Iterable[Row]) -> NameTable:
    """The table of the layout whose names are the inside ones."""
    return NameTable(Row(row.inside, row.inside, row.leaves) for row in rows)


def inverted(names: Mapping[str, str]) -> dict[str, str]:
    """From inside names to stored names, for a mapping from stored to inside names."""
    return {inside: stored for stored, inside in names.items()}
