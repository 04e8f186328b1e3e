"""Configuration files: JSON that is checked before a model is built from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from export.errors import ExportError
from export.weights.files.recognition import require_file
from export.weights.names.configurations import official_transformer_configuration
from export.weights.names.layout import ComponentKind
from export.weights.names.other_models import other_configuration

_REMEDY = "download the component again"
MAX_JSON_BYTES = 2 * 1024 * 1024  # a shard index of an A14B expert has 0.1 MB
# Above these no model of the families is, and a model without weights alone would fill the memory.
_MAX_COUNTS = {
    "num_layers": 200,
    "num_hidden_layers": 200,
    "num_res_blocks": 50,
    "num_attention_heads": 1000,
    "attention_head_dim": 1024,
    "rope_max_seq_len": 8192,
    "max_position_embeddings": 8192,
    "image_size": 4096,
    "vocab_size": 2_000_000,
}
_MAX_SIZE = 200_000
_MAX_ITEMS = 64  # a VAE's configuration lists the statistics of 48 channels
# Numbers with which a model cannot be built when they are missing or something else.
_WHOLE_NUMBERS = {
    *_MAX_COUNTS,
    "base_dim",
    "d_ff",
    "d_kv",
    "d_model",
    "ffn_dim",
    "freq_dim",
    "hidden_size",
    "in_channels",
    "intermediate_size",
    "num_heads",
    "out_channels",
    "patch_size",
    "text_dim",
    "z_dim",
}


def read_json(path: Path, remedy: str) -> dict[str, Any]:
    """A JSON object. Raises ``ExportError`` with the remedy for any other content."""
    try:
        path.lstat()
        require_file(path)
        if path.stat().st_size > MAX_JSON_BYTES:
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
    refuse_quantised(file, content)
    other = other_configuration(content) if kind == "transformer" else None
    if other is not None:
        raise ExportError(f"{file} {other}")
    if kind == "transformer" and "in_dim" in content:
        content = official_transformer_configuration(content, str(file))
    check_sizes(file, content, _REMEDY)
    return content


def refuse_quantised(file: Path, content: Mapping[str, Any]) -> None:
    """Refuses a configuration that describes quantised weights. Raises ``ExportError``."""
    quantisation = content.get("quantization_config")
    if quantisation:
        method = quantisation.get("quant_method") if isinstance(quantisation, dict) else None
        raise ExportError(
            f"{file}: the weights are quantised with {method or 'another quantiser'} (quantization_config), which "
            "cannot be read; give the component in bf16, fp16 or fp32, the exporter quantises by itself (--precision)"
        )


def check_sizes(file: Path, content: Mapping[str, Any], remedy: str) -> None:
    """Refuses sizes that no model of the families has. Raises ``ExportError`` with the remedy."""
    for key, value in content.items():
        _check_size(file, key, value, remedy)


def _check_size(file: Path, key: str, value: Any, remedy: str) -> None:
    highest = _MAX_COUNTS.get(key, _MAX_SIZE)
    items = value if isinstance(value, list) else [value]
    if len(items) > _MAX_ITEMS:
        raise ExportError(f"{file}: {key} has {len(items)} items; {remedy}")
    for item in items:
        is_count = isinstance(item, int) and not isinstance(item, bool)
        if key in _WHOLE_NUMBERS and not is_count and item is not None:
            raise ExportError(f"{file}: {key} {_short(item)} is no whole number; {remedy}")
        if is_count and not -1 <= item <= highest and not key.endswith(("_id", "_token")):
            raise ExportError(f"{file}: {key} {item} is beyond {highest}; {remedy}")


def _short(value: object) -> str:
    return repr(value)[:50]
