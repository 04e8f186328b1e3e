"""Configuration files: JSON that is checked before a model is built from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from export.errors import ExportError
from export.weights.names.configurations import official_transformer_configuration
from export.weights.names.layout import ComponentKind

_REMEDY = "download the component again"
_MAX_BYTES = 10 * 1024 * 1024
# Above these no model of the families is, and a model without weights alone would fill the memory.
_MAX_COUNTS = {"num_layers": 200, "num_res_blocks": 50, "vocab_size": 2_000_000, "num_attention_heads": 1000}
_MAX_SIZE = 200_000
_MAX_ITEMS = 1000


def read_json(path: Path, remedy: str) -> dict[str, Any]:
    """A JSON object. Raises ``ExportError`` with the remedy for any other content."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ExportError(f"{path} has {path.stat().st_size} bytes, too many for a configuration; {remedy}")
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ExportError(f"cannot read {path}: {error.strerror}; {remedy}") from error
    except (ValueError, RecursionError) as error:
        raise ExportError(f"{path} is not JSON; {remedy}") from error
    if not isinstance(content, dict):
        raise ExportError(f"{path} is not a JSON object; {remedy}")
    return content


def read_configuration(kind: ComponentKind, file: Path) -> dict[str, Any]:
    """The configuration of a component in Diffusers' terms, transformers' for the text encoder.

    Raises ``ExportError`` for a configuration of another model, of quantised weights, and of absurd sizes.
    """
    content = read_json(file, _REMEDY)
    quantisation = content.get("quantization_config")
    if quantisation:
        method = quantisation.get("quant_method") if isinstance(quantisation, dict) else None
        raise ExportError(
            f"{file}: the weights are quantised with {method or 'another quantiser'} (quantization_config), which "
            "cannot be read; give the component in bf16, fp16 or fp32, the exporter quantises by itself (--precision)"
        )
    if kind == "transformer" and "in_dim" in content:
        content = official_transformer_configuration(content, str(file))
    for key, value in content.items():
        _check_size(file, key, value)
    if kind == "transformer" and content.get("image_dim") is not None:
        raise ExportError(f"{file} has image_dim: this is Wan2.1, only Wan2.2 is supported")
    return content


def _check_size(file: Path, key: str, value: Any) -> None:
    highest = _MAX_COUNTS.get(key, _MAX_SIZE)
    items = value if isinstance(value, list) else [value]
    if len(items) > _MAX_ITEMS:
        raise ExportError(f"{file}: {key} has {len(items)} items; {_REMEDY}")
    for item in items:
        is_count = isinstance(item, int) and not isinstance(item, bool)
        if is_count and not -1 <= item <= highest and not key.endswith(("_id", "_token")):
            raise ExportError(f"{file}: {key} {item} is beyond {highest}; {_REMEDY}")
