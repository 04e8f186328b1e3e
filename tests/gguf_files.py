"""Small GGUF files, written by the ``gguf`` package itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, quantize
from gguf.constants import GGML_QUANT_SIZES
from numpy.typing import NDArray


def write_gguf(
    file: Path,
    tensors: Mapping[str, tuple[NDArray[np.generic], str]],
    architecture: str = "wan",
    original_shapes: Mapping[str, tuple[int, ...]] | None = None,
) -> Path:
    """Writes a file of tensors that are already in the type that stands beside each."""
    writer = GGUFWriter(file, architecture)
    for name, shape in (original_shapes or {}).items():
        writer.add_array(f"comfy.gguf.orig_shape.{name}", shape)
    writer.add_array("tokenizer.ggml.tokens", ["<pad>", "</s>", "▁a"])
    writer.add_array("tokenizer.ggml.scores", [0.0, -1.0, -2.0])
    writer.add_string("general.name", "x" * 5_000)
    for name, (stored, type_name) in tensors.items():
        writer.add_tensor(name, stored, raw_dtype=GGMLQuantizationType[type_name])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def stored_noise(type_name: str, shape: tuple[int, ...], seed: int = 0) -> NDArray[np.generic]:
    """Noise in a type: quantised where the package can, otherwise any bytes, which every type gives a meaning."""
    kind = GGMLQuantizationType[type_name]
    draw = np.random.default_rng(seed)
    try:
        return quantize(draw.standard_normal(shape).astype(np.float32), kind)
    except NotImplementedError:
        block_elements, block_bytes = GGML_QUANT_SIZES[kind]
        byte_shape = (*shape[:-1], shape[-1] // block_elements * block_bytes)
        return draw.integers(0, 256, byte_shape, dtype=np.uint8)


def finite_noise(type_name: str, shape: tuple[int, ...], seed: int = 0) -> NDArray[np.generic]:
    """The same with finite values also in the types that the package cannot write: their scales are 1/64."""
    stored = stored_noise(type_name, shape, seed)
    halves = {"Q4_K": slice(0, 4), "Q6_K": slice(208, 210)}.get(type_name)
    if halves is not None:
        _, block_bytes = GGML_QUANT_SIZES[GGMLQuantizationType[type_name]]
        blocks = stored.reshape(-1, block_bytes)
        blocks[:, halves] = np.frombuffer(np.float16(1 / 64).tobytes() * ((halves.stop - halves.start) // 2), np.uint8)
    return stored
