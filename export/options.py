"""Values of command-line options and their parsers, shared by the commands. Imports no model library."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, NamedTuple

from export.errors import ExportError

VerifyOption = Literal["auto", "always", "never"]
PrecisionOption = Literal["auto", "fp32", "fp16", "bf16", "int8", "fp8", "int4"]


class AdapterOption(NamedTuple):
    """A LoRA file that is fused into a transformer, and the factor that multiplies its change."""

    file: Path
    strength: float = 1.0


def parse_adapter_option(text: str) -> AdapterOption:
    """Parses ``FILE`` or ``FILE:STRENGTH``. Raises ``ExportError`` for a strength that is not a number."""
    name, separator, strength = text.rpartition(":")
    if not separator or text.endswith(".safetensors"):
        return AdapterOption(Path(text))
    try:
        return AdapterOption(Path(name), float(strength))
    except ValueError as error:
        raise ExportError(f"adapter {text}: {strength!r} is not a number; write FILE or FILE:0.8") from error


def parse_size_option(text: str) -> tuple[int, int]:
    """Parses ``WIDTHxHEIGHT`` in pixels. Raises ``ValueError``."""
    found = re.fullmatch(r"(\d+)[xX×](\d+)", text)
    if found is None:
        raise ValueError(f"{text!r} is not WIDTHxHEIGHT, for example 480x480")
    return int(found.group(1)), int(found.group(2))
