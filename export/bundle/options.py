"""What a person may choose for an export. Plain data; imports no model library, so that usage is told at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

VerifyMode = Literal["auto", "always", "never"]
PrecisionChoice = Literal["auto", "fp32", "fp16", "bf16", "int8", "fp8", "int4"]


@dataclass(frozen=True)
class AdapterChoice:
    """A LoRA to fuse into a transformer before anything else is done to its weights."""

    file: Path
    strength: float = 1.0
