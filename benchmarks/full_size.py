"""Configurations of the official models, and sparse weight files of their size.

Sources: the ``config.json`` files of Wan-AI/Wan2.2-I2V-A14B-Diffusers and Wan2.2-TI2V-5B-Diffusers. The latents' mean
and std do not change a graph's size and are zeros and ones here.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

_TRANSFORMER: Mapping[str, Any] = {
    "patch_size": [1, 2, 2],
    "attention_head_dim": 128,
    "text_dim": 4096,
    "freq_dim": 256,
    "cross_attn_norm": True,
    "qk_norm": "rms_norm_across_heads",
    "eps": 1e-6,
    "added_kv_proj_dim": None,
    "image_dim": None,
    "rope_max_seq_len": 1024,
}
A14B_EXPERT: Mapping[str, Any] = {
    **_TRANSFORMER,
    "num_attention_heads": 40,
    "in_channels": 36,
    "out_channels": 16,
    "ffn_dim": 13824,
    "num_layers": 40,
}
TI2V_5B: Mapping[str, Any] = {
    **_TRANSFORMER,
    "num_attention_heads": 24,
    "in_channels": 48,
    "out_channels": 48,
    "ffn_dim": 14336,
    "num_layers": 30,
}
UMT5_XXL: Mapping[str, Any] = {
    "vocab_size": 256384,
    "d_model": 4096,
    "d_kv": 64,
    "d_ff": 10240,
    "num_layers": 24,
    "num_heads": 64,
    "relative_attention_num_buckets": 32,
    "relative_attention_max_distance": 128,
    "dropout_rate": 0.1,
    "feed_forward_proj": "gated-gelu",
    "layer_norm_epsilon": 1e-6,
}
VAE_16_CHANNELS: Mapping[str, Any] = {
    "base_dim": 96,
    "z_dim": 16,
    "dim_mult": [1, 2, 4, 4],
    "num_res_blocks": 2,
    "attn_scales": [],
    "temperal_downsample": [False, True, True],
    "latents_mean": [0.0] * 16,
    "latents_std": [1.0] * 16,
}
VAE_48_CHANNELS: Mapping[str, Any] = {
    **VAE_16_CHANNELS,
    "base_dim": 160,
    "decoder_base_dim": 256,
    "z_dim": 48,
    "is_residual": True,
    "in_channels": 12,
    "out_channels": 12,
    "patch_size": 2,
    "scale_factor_temporal": 4,
    "scale_factor_spatial": 16,
    "latents_mean": [0.0] * 48,
    "latents_std": [1.0] * 48,
}


_ITEM_BYTES = {"F32": 4, "F16": 2}


def write_sparse_weights(component: nn.Module, file: Path, dtype: str = "F32") -> int:
    """Writes a sparse safetensors file for a component on the meta device; returns its size in bytes.

    It has the true names, shapes and size, takes no disk space, and reads as zeros.
    """
    entries, offset = {}, 0
    for name, parameter in component.named_parameters():
        byte_count = _ITEM_BYTES[dtype] * math.prod(parameter.shape)
        entries[name] = {
            "dtype": dtype,
            "shape": list(parameter.shape),
            "data_offsets": [offset, offset + byte_count],
        }
        offset += byte_count
    header = json.dumps(entries).encode()
    header += b" " * (-len(header) % 8)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as stream:
        stream.write(struct.pack("<Q", len(header)) + header)
        stream.truncate(8 + len(header) + offset)
    return offset
