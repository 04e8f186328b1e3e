"""A finished chain: its frames, and where its segments begin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class MadeChain:
    """Frames of a chain, [frames, height, width, 3], and the index of each segment's first new frame."""

    frames: Frames
    starts: tuple[int, ...]

    @property
    def parts(self) -> list[Frames]:
        """The new frames of each segment."""
        return np.split(self.frames, self.starts[1:])


def joined(parts: Sequence[Frames]) -> MadeChain:
    """The chain of these new frames of each segment."""
    starts = np.cumsum([0, *(len(part) for part in parts[:-1])])
    return MadeChain(np.concatenate(parts), tuple(int(start) for start in starts))
