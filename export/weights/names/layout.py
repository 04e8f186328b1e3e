"""Finds the layout of a file from the names of all of its tensors."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from export.weights.names import text_encoder, transformer
from export.weights.names.table import NameTable, Row, identity, inverted
from export.weights.names.vae import vae_rows

ComponentKind = Literal["transformer", "vae", "text_encoder"]
Layout = Literal["diffusers", "official", "gguf"]

COMPONENT_KINDS: tuple[ComponentKind, ...] = ("transformer", "vae", "text_encoder")
# A file can hold any number of prefixes; the tables are tried below the most frequent ones.
_MAX_PREFIXES = 8
_MARKER = "scaled_fp8"  # ComfyUI's sign, an empty tensor, that the weights have scales

# Names that only one component in one layout has, so that what stands before them is the prefix.
_ANCHORS: Mapping[tuple[ComponentKind, Layout], str] = {
    ("transformer", "diffusers"): r"blocks\.\d+\.attn[12]\.(?:to_[qkv]|to_out|norm_[qk])\.",
    ("transformer", "official"): r"blocks\.\d+\.(?:self|cross)_attn\.(?:[qkvo]|norm_[qk])\.",
    ("vae", "diffusers"): r"(?:encoder\.down|decoder\.up)_blocks\.\d+\.(?:resnets\.\d+\.)?norm[12]\.gamma$",
    (
        "vae",
        "official",
    ): r"(?:encoder\.down|decoder\.up)samples\.\d+\.(?:(?:down|up)samples\.\d+\.)?residual\.\d+\.gamma$",
    ("text_encoder", "diffusers"): r"encoder\.block\.\d+\.layer\.[01]\.(?:SelfAttention|DenseReluDense)\.",
    ("text_encoder", "official"): r"blocks\.\d+\.(?:attn\.[qkvo]|ffn\.(?:gate\.0|fc[12]))\.",
    ("text_encoder", "gguf"): r"enc\.blk\.\d+\.(?:attn_[qkvo]|ffn_(?:gate|up|down))\.",
}


@dataclass(frozen=True)
class FoundNames:
    """One component of a file: where its names stand and what the others are.

    ``prefix`` stands before all names of the component. ``inside`` maps stored names, with prefix, to inside names in
    the order of the file. ``companions`` maps stored names to (inside module, ending): scales and the like.
    ``markers`` say that weights have scales. ``tokenizer`` is the name of the tensor that holds the SentencePiece
    model. ``ignored`` are a text decoder's parameters. ``unknown`` are names below the prefix that the component does
    not have, ``elsewhere`` all others: other components of the file. ``other_prefixes`` stand before further
    components of the same kind, as in a file with both experts.
    """

    kind: ComponentKind
    layout: Layout
    prefix: str
    inside: Mapping[str, str]
    companions: Mapping[str, tuple[str, str]]
    markers: tuple[str, ...]
    tokenizer: str | None
    ignored: tuple[str, ...]
    unknown: tuple[str, ...]
    elsewhere: tuple[str, ...]
    other_prefixes: tuple[str, ...]

    @property
    def stored(self) -> dict[str, str]:
        """From inside names to stored names with prefix."""
        return inverted(self.inside)


def name_table(kind: ComponentKind, layout: Layout, names: Collection[str] = ()) -> NameTable:
    """The table of a component. ``names``, without prefix and in either layout, show the stages of a VAE."""
    if layout == "diffusers":
        return identity(_rows(kind, "official", names))
    return NameTable(_rows(kind, layout, names))


def find_layout(kind: ComponentKind, names: Sequence[str], prefix: str | None = None) -> FoundNames | None:
    """Finds a component by the names of all tensors of a file; None if the file holds no such component.

    The layout and prefix that give most parameters win. ``prefix`` chooses one of several components of a kind.
    """
    fits = _fits(kind, names)
    best = next((fit for fit in fits if prefix is None or fit.prefix == prefix), None)
    if best is None:
        return None
    others = {other: found[0] for other in COMPONENT_KINDS if other != kind and (found := _fits(other, names))}
    companions: dict[str, tuple[str, str]] = {}
    markers, ignored, unknown, elsewhere = [], [], [], []
    tokenizer = None
    for name in names:
        if name in best.inside:
            continue
        local = name.removeprefix(best.prefix)
        companion = best.table.companion(local) if name.startswith(best.prefix) else None
        if any(other.holds(name, below=best.prefix) for other in others.values()) or not name.startswith(best.prefix):
            elsewhere.append(name)
        elif companion is not None:
            companions[name] = companion
        elif local == _MARKER:
            markers.append(name)
        elif kind == "text_encoder" and local == text_encoder.TOKENIZER:
            tokenizer = name
        elif kind == "text_encoder" and local.startswith(text_encoder.DECODER_PREFIXES):
            ignored.append(name)
        else:
            unknown.append(name)
    return FoundNames(
        kind,
        best.layout,
        best.prefix,
        best.inside,
        companions,
        tuple(markers),
        tokenizer,
        tuple(ignored),
        tuple(unknown),
        tuple(elsewhere),
        tuple(fit.prefix for fit in fits if fit.prefix != best.prefix and fit.rivals(best)),
    )


@dataclass(frozen=True)
class _Fit:
    layout: Layout
    prefix: str
    table: NameTable
    inside: Mapping[str, str]

    def holds(self, name: str, below: str) -> bool:
        """True for a name of this component, seen from a component of another kind with prefix ``below``."""
        if name in self.inside:
            return True
        if not name.startswith(self.prefix):
            return False
        nested = len(self.prefix) > len(below)
        return nested or self.table.companion(name.removeprefix(self.prefix)) is not None

    def rivals(self, best: _Fit) -> bool:
        return 2 * len(self.inside) >= len(best.inside)


def _fits(kind: ComponentKind, names: Sequence[str]) -> list[_Fit]:
    """Layouts and prefixes of a component in a file, the one with most parameters first."""
    fits = []
    for (anchored, layout), anchor in _ANCHORS.items():
        if anchored == kind:
            for prefix in _prefixes(names, anchor):
                below = [name for name in names if name.startswith(prefix)]
                table = name_table(kind, layout, [name.removeprefix(prefix) for name in below])
                mapped = ((name, table.to_diffusers(name.removeprefix(prefix))) for name in below)
                inside = {name: found for name, found in mapped if found is not None}
                if inside:
                    fits.append(_Fit(layout, prefix, table, inside))
    return sorted(fits, key=lambda fit: (-len(fit.inside), len(fit.prefix), fit.prefix))


def _prefixes(names: Sequence[str], anchor: str) -> list[str]:
    pattern = re.compile(rf"(?:^|\.)(?={anchor})")
    counts: Counter[str] = Counter()
    for name in names:
        found = pattern.search(name)
        if found is not None:
            counts[name[: found.end()]] += 1
    return [prefix for prefix, _ in counts.most_common(_MAX_PREFIXES)]


def _rows(kind: ComponentKind, layout: Layout, names: Collection[str]) -> tuple[Row, ...]:
    if kind == "transformer":
        return transformer.ROWS
    if kind == "vae":
        return vae_rows(names)
    return text_encoder.GGUF_ROWS if layout == "gguf" else text_encoder.OFFICIAL_ROWS
