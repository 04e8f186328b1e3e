"""Bundles that several tests use, each exported once a run."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image as Pillow

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing in a test may look for a model elsewhere


@pytest.fixture
def png() -> Callable[..., bytes]:
    """Makes PNG files of coloured noise: ``png(width, height, seed=0)``."""

    def make(width_px: int, height_px: int, seed: int = 0) -> bytes:
        pixels = np.random.default_rng(seed).integers(0, 256, (height_px, width_px, 3), dtype=np.uint8)
        buffer = io.BytesIO()
        Pillow.fromarray(pixels).save(buffer, "PNG")
        return buffer.getvalue()

    return make


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of random weights, A14B shape, with a scorer: 64x48, 9 frames and 48x48, 9 frames.

    The processes of a parallel run share it; the first one that comes exports it.
    """
    from engine.types import Geometry
    from tests.checkpoints import TinyModel
    from tests.exporting import export_tiny

    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "tiny"
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / "bundle" / "bundle.json").is_file():
            export_tiny(folder, TinyModel(), (Geometry(64, 48, 9), Geometry(48, 48, 9)), scorer=True)
    return folder / "bundle"
