"""Bundles that several tests use, each exported once a run."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
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
    """A bundle of random weights, A14B shape, with a scorer: 64x48, 9 frames and 48x48, 9 frames."""
    from engine.types import Geometry
    from tests.checkpoints import TinyModel
    from tests.exporting import export_tiny

    folder = tmp_path_factory.mktemp("tiny")
    geometries = (Geometry(64, 48, 9), Geometry(48, 48, 9))
    return export_tiny(folder, TinyModel(), geometries, scorer=True).bundle


@pytest.fixture(autouse=True)
def _libraries_may_deprecate() -> None:
    """Warnings are errors in our code; the training libraries deprecate their own calls to each other."""
    for package in ("torch", "diffusers", "transformers", "onnxscript", "copyreg"):
        warnings.filterwarnings("ignore", module=rf"{package}(\.|$)")
