"""Measured inputs of a component's linears, and the two files that store them.

``COMPONENT.json`` holds the largest absolute input of each linear and the ranges of self-attention, which files of
earlier versions lack; ``COMPONENT.safetensors`` holds mean products of neighbouring inputs for four-bit rounding. Both
hold the digest of the weights that they were measured on; files of another checkpoint, or of other adapters, are
refused.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from export.atomic_file import replacing, write_text
from export.errors import ExportError
from export.quantise.attention import AttentionRanges

_FORMAT_VERSION = 1
# Neighbouring inputs whose products are stored. With 256 the error is within 3 % of storing all (docs/log.md).
GROUP_SIZE = 256


@dataclass(frozen=True)
class Calibration:
    """Measured inputs of a component. ``ranges`` and ``moments`` are by the names of linears, without ``.weight``.

    Linears that read the same values share one entry of ``moments`` by ``shared``. ``attention`` is by the names of
    self-attentions; empty where it was not measured.
    """

    digest: str
    sample_count: int
    ranges: Mapping[str, float]
    shared: Mapping[str, str] = field(default_factory=dict)
    read_moments: Callable[[str], Tensor] | None = None
    attention: Mapping[str, AttentionRanges] = field(default_factory=dict)

    def input_range(self, linear: str) -> float:
        """The largest absolute input. Raises ``ExportError`` for a linear that was not measured."""
        if linear not in self.ranges:
            raise ExportError(f"the calibration does not have {linear}; calibrate this checkpoint again")
        return self.ranges[linear]

    def moments(self, linear: str) -> Callable[[], Tensor] | None:
        """A function that reads mean products [groups, size, size] float32; None where none are stored."""
        if self.read_moments is None or linear not in self.shared:
            return None
        return functools.partial(self.read_moments, self.shared[linear])


def group_size(input_count: int) -> int:
    """The largest divisor of a linear's input count that is at most ``GROUP_SIZE``."""
    return next(size for size in range(min(GROUP_SIZE, input_count), 0, -1) if input_count % size == 0)


def save_calibration(folder: Path, component: str, calibration: Calibration, moments: Mapping[str, Tensor]) -> None:
    """Writes both files atomically, the tensors first: where the JSON exists, its tensors do."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = folder / f"{component}.safetensors"
    with replacing(tensors) as partial:
        save_file(dict(moments), partial, metadata={"digest": calibration.digest})
        partial.chmod(0o644)
    content = {
        "format_version": _FORMAT_VERSION,
        "digest": calibration.digest,
        "sample_count": calibration.sample_count,
        "ranges": dict(calibration.ranges),
        "shared": dict(calibration.shared),
        "attention": {name: asdict(ranges) for name, ranges in calibration.attention.items()},
    }
    write_text(folder / f"{component}.json", json.dumps(content, indent=1) + "\n")


def load_calibration(folder: Path, component: str, digest: str) -> Calibration:
    """Reads both files. Raises ``ExportError`` if they are missing, damaged, or of weights with another digest."""
    path, tensors = folder / f"{component}.json", folder / f"{component}.safetensors"
    remedy = "run `python -m export.quantise.calibrate` again"
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found = (content["format_version"], content["digest"])
        ranges = {str(name): float(value) for name, value in content["ranges"].items()}
        shared = {str(name): str(other) for name, other in content["shared"].items()}
        attention = {str(name): _attention(item) for name, item in content.get("attention", {}).items()}
        with safe_open(tensors, framework="pt") as opened:
            known, tensor_digest = set(opened.keys()), (opened.metadata() or {}).get("digest")
    except OSError as error:
        raise ExportError(f"cannot read {error.filename or tensors}: {error.strerror or error}; {remedy}") from error
    except (ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise ExportError(f"{path}: is not a calibration ({error}); {remedy}") from error
    if found != (_FORMAT_VERSION, digest) or tensor_digest != digest:
        raise ExportError(f"{path}: was measured on other weights than these; {remedy}")
    if missing := set(shared.values()) - known:
        raise ExportError(f"{tensors}: lacks {min(missing)}; {remedy}")

    def read(name: str) -> Tensor:
        with safe_open(tensors, framework="pt") as opened:
            moments: Tensor = opened.get_tensor(name)
        return moments.to(torch.float32)

    return Calibration(digest, int(content["sample_count"]), ranges, shared, read, attention)


def _attention(item: Mapping[str, Any]) -> AttentionRanges:
    return AttentionRanges(*(float(item[name]) for name in ("query", "key", "value")))


def calibration_digest(checkpoint_digest: str, adapters: Sequence[tuple[str, float]] = ()) -> str:
    """One digest of a checkpoint and the adapters, SHA-256 and strength, that were fused into it."""
    whole = hashlib.sha256(checkpoint_digest.encode())
    for adapter_digest, strength in adapters:
        whole.update(f"\0{adapter_digest}\0{strength!r}".encode())
    return whole.hexdigest()
