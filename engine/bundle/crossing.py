"""What crosses between the parts of a compiled graph, and its places in one buffer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.bundle.graph_spec import DTYPE_BYTES, EnginePart, TensorSpec

_ALIGNMENT = 256  # of CUDA's own allocations


@dataclass(frozen=True, slots=True)
class Crossing:
    """A tensor that one part computes and a later one reads, at a byte ``offset`` of the buffer."""

    spec: TensorSpec
    shape: tuple[int, ...]
    offset: int
    byte_count: int

    @property
    def end(self) -> int:
        """The first byte behind the tensor."""
        return self.offset + self.byte_count


def place_crossings(parts: Sequence[EnginePart], lengths: Mapping[str, int]) -> dict[str, Crossing]:
    """Places every tensor that crosses; ``lengths`` are those of open axes, by name.

    A tensor takes the lowest place that is free while it is needed: from the call that computes it to the last one
    that reads it, both included, so that no call reads and writes one place. Raises ``KeyError`` for an open axis
    without a length.
    """
    last_reader = {tensor.name: index for index, part in enumerate(parts) for tensor in part.inputs}
    placed: dict[str, Crossing] = {}
    for index, part in enumerate(parts):
        present = [item for name, item in placed.items() if last_reader[name] >= index]
        for spec in part.outputs:
            if last_reader.get(spec.name, index) <= index:  # an output of the whole graph
                continue
            shape = tuple(lengths[axis] if isinstance(axis, str) else axis for axis in spec.shape)
            byte_count = math.prod(shape) * DTYPE_BYTES[spec.dtype]
            placed[spec.name] = Crossing(spec, shape, _free_place(present, byte_count), byte_count)
            present.append(placed[spec.name])
    return placed


def crossing_bytes(crossings: Mapping[str, Crossing]) -> int:
    """The size of the buffer that holds all of them."""
    return max((item.end for item in crossings.values()), default=0)


def _free_place(present: Sequence[Crossing], byte_count: int) -> int:
    start = 0
    for item in sorted(present, key=lambda item: item.offset):
        if start + byte_count <= item.offset:
            break
        start = max(start, -(-item.end // _ALIGNMENT) * _ALIGNMENT)
    return start
