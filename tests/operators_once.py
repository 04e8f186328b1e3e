"""Torch lists ONNX's operators anew for every graph that it exports, which takes a second; tests list them once."""

from __future__ import annotations

import functools
import importlib
import sys
from typing import Any

import pytest

_LISTING = "torch.onnx._internal.exporter._registration"


@pytest.fixture(scope="module", autouse=True)
def _operators_once() -> None:
    if "export.tracing.trace" in sys.modules:
        library: Any = importlib.import_module(_LISTING).onnxscript_apis
        if not hasattr(library.get_torchlib_ops, "cache_info"):
            library.get_torchlib_ops = functools.cache(library.get_torchlib_ops)
