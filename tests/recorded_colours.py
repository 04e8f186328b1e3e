"""The colours of a clip before they are rounded to bytes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.generate.preview import to_pixels


def record_colours(monkeypatch: pytest.MonkeyPatch) -> list[NDArray[np.float32]]:
    """Returns a list that the engine's colours, [frames, height, width, 3] in 0..1, are appended to, by chunk."""
    chunks: list[NDArray[np.float32]] = []

    def record(colours: NDArray[np.float32]) -> NDArray[np.uint8]:
        chunks.append(colours)
        return to_pixels(colours)

    monkeypatch.setattr("engine.generate.decoding.to_pixels", record)
    return chunks
