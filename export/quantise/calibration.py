"""What linears saw at their inputs while a component ran on samples. Knows numbers and two files; runs nothing.

``COMPONENT.json`` holds the largest absolute input of each linear; ``COMPONENT.safetensors`` holds mean products of
neighbouring inputs for four-bit rounding. Both name the digest of the weights that they were measured on: those of
another checkpoint, or of one with another adapter, are refused.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from export.errors import ExportError

_FORMAT_VERSION = 1
# Neighbouring inputs whose products are kept: 256 come within 3 % of all of them (docs/log.md).
GROUP_SIZE = 256


@dataclass(frozen=True)
class Calibration:
    """Measured inputs of a component. ``ranges`` and ``moments`` are by the names of linears, without ``.weight``.

    Linears that read the same values share one entry of ``moments`` by ``shared``.
    """

    digest: str
    sample_count: int
    ranges: Mapping[str, float]
    shared: Mapping[str, str] = field(default_factory=dict)
    read_moments: Callable[[str], Tensor] | None = None

    def input_range(self, linear: str) -> float:
        """The largest absolute input. Raises ``ExportError`` for a linear that was not seen."""
        if linear not in self.ranges:
            raise ExportError(f"the calibration does not know {linear}; calibrate this checkpoint again")
        return self.ranges[linear]

    def moments(self, linear: str) -> Callable[[], Tensor] | None:
        """Reads mean products [groups, size, size] float32 when called; None where none were kept."""
        if self.read_moments is None or linear not in self.shared:
            return None
        return functools.partial(self.read_moments, self.shared[linear])


def group_size(input_count: int) -> int:
    """The largest divisor of a linear's width that is at most ``GROUP_SIZE``."""
    return next(size for size in range(min(GROUP_SIZE, input_count), 0, -1) if input_count % size == 0)


def save_calibration(folder: Path, component: str, calibration: Calibration, moments: Mapping[str, Tensor]) -> None:
    """Writes both files, the JSON last and each atomically: a JSON without its tensors does not exist."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = folder / f"{component}.safetensors"
    partial = tensors.with_suffix(".partial")
    save_file(dict(moments), partial, metadata={"digest": calibration.digest})
    partial.chmod(0o644)
    partial.replace(tensors)
    content = {
        "format_version": _FORMAT_VERSION,
        "digest": calibration.digest,
        "sample_count": calibration.sample_count,
        "ranges": dict(calibration.ranges),
        "shared": dict(calibration.shared),
    }
    partial = folder / f"{component}.json.partial"
    partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    partial.replace(folder / f"{component}.json")


def load_calibration(folder: Path, component: str, digest: str) -> Calibration:
    """Reads both files. Raises ``ExportError`` where they are missing, damaged or of other weights."""
    path, tensors = folder / f"{component}.json", folder / f"{component}.safetensors"
    remedy = "run `python -m export.quantise.calibrate` again"
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found = (content["format_version"], content["digest"])
        ranges = {str(name): float(value) for name, value in content["ranges"].items()}
        shared = {str(name): str(other) for name, other in content["shared"].items()}
        with safe_open(tensors, framework="pt") as opened:
            known, tensor_digest = set(opened.keys()), (opened.metadata() or {}).get("digest")
    except OSError as error:
        raise ExportError(f"cannot read {error.filename or tensors}: {error.strerror or error}; {remedy}") from error
    except (ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise ExportError(f"{path}: is no calibration ({error}); {remedy}") from error
    if found != (_FORMAT_VERSION, digest) or tensor_digest != digest:
        raise ExportError(f"{path}: was measured on other weights than these; {remedy}")
    if missing := set(shared.values()) - known:
        raise ExportError(f"{tensors}: lacks {min(missing)}; {remedy}")

    def read(name: str) -> Tensor:
        with safe_open(tensors, framework="pt") as opened:
            moments: Tensor = opened.get_tensor(name)
        return moments.to(torch.float32)

    return Calibration(digest, int(content["sample_count"]), ranges, shared, read)


def calibration_digest(checkpoint_digest: str, adapters: Sequence[tuple[str, float]] = ()) -> str:
    """One digest of a checkpoint and the adapters, SHA-256 and strength, that were fused into it."""
    whole = hashlib.sha256(checkpoint_digest.encode())
    for adapter_digest, strength in adapters:
        whole.update(f"\0{adapter_digest}\0{strength!r}".encode())
    return whole.hexdigest()
