"""Ranges of the factors of self-attention, which calibration measures for attention in FP8."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

_SELF_ATTENTION = re.compile(r"blocks\.\d+\.attn1")


@dataclass(frozen=True)
class AttentionRanges:
    """The largest absolute query, key and value of one self-attention.

    Query and key are those after rotation. Rotation turns pairs of features by angles that follow from the token's
    position, so that a range is the longest pair: it holds for every position, also of clips that are longer than the
    calibrated ones.
    """

    query: float = 0.0
    key: float = 0.0
    value: float = 0.0

    def joined(self, other: AttentionRanges) -> AttentionRanges:
        """Ranges that hold for both."""
        return AttentionRanges(max(self.query, other.query), max(self.key, other.key), max(self.value, other.value))


@contextlib.contextmanager
def watched_attention(module: nn.Module) -> Iterator[dict[str, AttentionRanges]]:
    """Yields ranges by the names of the module's self-attentions; calls inside the context add to them."""
    found: dict[str, AttentionRanges] = {}
    with contextlib.ExitStack() as hooks:
        for name, attention in module.named_modules():
            if _SELF_ATTENTION.fullmatch(name):
                for part, source in (
                    ("query", attention.get_submodule("norm_q")),
                    ("key", attention.get_submodule("norm_k")),
                    ("value", attention.get_submodule("to_v")),
                ):
                    handle = source.register_forward_hook(_hook(found, name, part))
                    hooks.callback(handle.remove)
        yield found


def _hook(found: dict[str, AttentionRanges], name: str, part: str) -> Any:
    def see(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> None:
        pairs = output if part == "value" else output.unflatten(-1, (-1, 2)).norm(dim=-1)
        seen = AttentionRanges(**{part: float(pairs.abs().max())})
        found[name] = found.get(name, AttentionRanges()).joined(seen)

    return see
