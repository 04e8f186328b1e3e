"""Configurations of components from the shapes of their parameters, or from the official ``config.json``.

The result is what Diffusers' and transformers' constructors take. Shapes are by inside name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from export.errors import ExportError

Shapes = Mapping[str, Sequence[int]]

HEAD_SIZE = 128  # of every published Wan transformer; no shape shows it
_PATCH_SIZE = (1, 2, 2)
_MAX_LAYERS = 1000
# What no weight file shows, for transformers without a configuration (wan/modules/model.py).
_TRANSFORMER: Mapping[str, Any] = {
    "cross_attn_norm": True,
    "qk_norm": "rms_norm_across_heads",
    "eps": 1e-6,
    "added_kv_proj_dim": None,
    "image_dim": None,
    "rope_max_seq_len": 1024,
}
_UMT5: Mapping[str, Any] = {
    "relative_attention_max_distance": 128,
    "dropout_rate": 0.1,
    "feed_forward_proj": "gated-gelu",
    "layer_norm_epsilon": 1e-6,
}


class KnownShapes:
    """Shapes of a file. Every lookup raises ``ExportError`` with the name of the file instead of a surprise."""

    def __init__(self, label: str, shapes: Shapes) -> None:
        self._label = label
        self._shapes = shapes

    def __contains__(self, name: str) -> bool:
        return name in self._shapes

    def lengths(self, name: str, rank: int) -> tuple[int, ...]:
        """The shape of a parameter that must have ``rank`` axes, none of them empty."""
        if name not in self._shapes:
            self.fail(f"has no {name}")
        shape = tuple(self._shapes[name])
        if len(shape) != rank or min(shape) < 1:
            self.fail(f"has {name} with shape {list(shape)} instead of {rank} lengths")
        return shape

    def count(self, pattern: str) -> int:
        """How many of the names ``pattern.format(0)``, ``pattern.format(1)``, … follow each other; at least 1."""
        found = 0
        while found < _MAX_LAYERS and pattern.format(found) in self._shapes:
            found += 1
        if not found:
            self.fail(f"has no {pattern.format(0)}")
        return found

    def divided(self, length: int, divisor: int, name: str) -> int:
        """``length / divisor``, which must be whole; ``name`` is the parameter that shows it."""
        if length % divisor or length < divisor:
            self.fail(f"has {name} with {length} rows, which is no multiple of {divisor}")
        return length // divisor

    def fail(self, fault: str) -> NoReturn:
        """Raises ``ExportError``."""
        raise ExportError(
            f"{self._label} {fault}; download the file again, or give a Diffusers folder, whose config.json says it"
        )


def transformer_configuration(shapes: Shapes, label: str) -> dict[str, Any]:
    """``WanTransformer3DModel``'s configuration. ``label`` names the file in messages. Raises ``ExportError``.

    The head size is that of all Wan models, 128.
    """
    known = KnownShapes(label, shapes)
    size, in_channels, *patch = known.lengths("patch_embedding.weight", 5)
    rows, _ = known.lengths("proj_out.weight", 2)
    return {
        **_TRANSFORMER,
        "patch_size": patch,
        "num_attention_heads": known.divided(size, HEAD_SIZE, "patch_embedding.weight"),
        "attention_head_dim": HEAD_SIZE,
        "in_channels": in_channels,
        "out_channels": known.divided(rows, math.prod(patch), "proj_out.weight"),
        "text_dim": known.lengths("condition_embedder.text_embedder.linear_1.weight", 2)[1],
        "freq_dim": known.lengths("condition_embedder.time_embedder.linear_1.weight", 2)[1],
        "ffn_dim": known.lengths("blocks.0.ffn.net.0.proj.weight", 2)[0],
        "num_layers": known.count("blocks.{}.attn1.to_q.weight"),
    }


def text_encoder_configuration(shapes: Shapes, label: str) -> dict[str, Any]:
    """``UMT5Config``'s values of an encoder. ``label`` names the file in messages. Raises ``ExportError``."""
    known = KnownShapes(label, shapes)
    vocabulary = "shared.weight" if "shared.weight" in known else "encoder.embed_tokens.weight"
    layer_count = known.count("encoder.block.{}.layer.0.SelfAttention.q.weight")
    bias = "encoder.block.{}.layer.0.SelfAttention.relative_attention_bias.weight"
    if bias.format(0) in known and known.count(bias) < layer_count:
        raise ExportError(
            f"{label} is a T5 encoder with one position bias for all layers, not umT5, which has one in each; give "
            "umt5-xxl, the text encoder of Wan2.2"
        )
    buckets, heads = known.lengths(bias.format(0), 2)
    inner = known.lengths("encoder.block.0.layer.0.SelfAttention.q.weight", 2)[0]
    vocabulary_size, size = known.lengths(vocabulary, 2)
    return {
        **_UMT5,
        "vocab_size": vocabulary_size,
        "d_model": size,
        "d_kv": known.divided(inner, heads, "encoder.block.0.layer.0.SelfAttention.q.weight"),
        "d_ff": known.lengths("encoder.block.0.layer.1.DenseReluDense.wi_0.weight", 2)[0],
        "num_layers": layer_count,
        "num_heads": heads,
        "relative_attention_num_buckets": buckets,
    }


def official_transformer_configuration(official: Mapping[str, Any], label: str) -> dict[str, Any]:
    """``WanTransformer3DModel``'s configuration from the official ``WanModel``'s ``config.json``.

    Keys that the file leaves out have the defaults of ``wan/modules/model.py``. Raises ``ExportError``.
    """
    known = _OfficialConfiguration(label, official)
    size, heads = known.number("dim", 2048), known.number("num_heads", 16)
    if size % heads:
        known.fail(f"has dim {size}, which is no multiple of num_heads {heads}")
    return {
        **_TRANSFORMER,
        "patch_size": list(_PATCH_SIZE),
        "num_attention_heads": heads,
        "attention_head_dim": size // heads,
        "in_channels": known.number("in_dim", 16),
        "out_channels": known.number("out_dim", 16),
        "text_dim": known.number("text_dim", 4096),
        "freq_dim": known.number("freq_dim", 256),
        "ffn_dim": known.number("ffn_dim", 8192),
        "num_layers": known.number("num_layers", 32),
        "eps": known.epsilon(),
    }


class _OfficialConfiguration:
    def __init__(self, label: str, values: Mapping[str, Any]) -> None:
        self._label = label
        self._values = values

    def number(self, key: str, default: int) -> int:
        value = self._values.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            self.fail(f"has {key} {value!r} instead of a whole number")
        return int(value)

    def epsilon(self) -> float:
        value = self._values.get("eps", 1e-6)
        if not isinstance(value, int | float) or not 0 < value < 1:
            self.fail(f"has eps {value!r} instead of a small number")
        return float(value)

    def fail(self, fault: str) -> NoReturn:
        raise ExportError(f"{self._label} {fault}; download the configuration again")
