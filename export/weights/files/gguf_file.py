"""GGUF files, as quantised transformers and text encoders are published, read tensor by tensor.

The arithmetic of each type is that of the ``gguf`` package (llama.cpp). A tensor is dequantised in pieces, so that
reading needs the memory of its result and a few megabytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from export.errors import ExportError
from export.weights.files.gguf_header import TensorInfo, read_gguf_header

# The types whose values a tensor holds alone. NVFP4 has scales in tensors of its own; the others are no weights.
_FLOATS = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_BLOCKS = ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS", "MXFP4")
_FEW_BITS = ("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "TQ1_0", "TQ2_0")
READABLE_TYPES = (*_FLOATS, *_BLOCKS, *_FEW_BITS)
_PIECE_ELEMENTS = 1 << 15  # a multiple of every block's length; the fastest length measured (ADR 0021)


@dataclass(frozen=True)
class GgufTensor:
    """A tensor of a GGUF file, dequantised when read: a ``StoredTensor``.

    ``shape`` is in torch's order, ``type_name`` the type in the file, such as ``Q4_K``; ``offset`` counts from the
    start of the file.
    """

    file: Path
    shape: tuple[int, ...]
    type_name: str
    offset: int
    byte_count: int

    @property
    def torch_dtype(self) -> torch.dtype:
        """The type in the file where torch has it, else float32."""
        return _FLOATS.get(self.type_name, torch.float32)

    def read(self) -> torch.Tensor:
        """The dequantised tensor."""
        from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
        from gguf.quants import dequantize

        kind = GGMLQuantizationType[self.type_name]
        block_elements, block_bytes = GGML_QUANT_SIZES[kind]
        piece_bytes = _PIECE_ELEMENTS // block_elements * block_bytes
        result = torch.empty(math.prod(self.shape), dtype=self.torch_dtype)
        written = 0
        with self.file.open("rb") as stream:
            stream.seek(self.offset)
            for start in range(0, self.byte_count, piece_bytes):
                count = min(piece_bytes, self.byte_count - start)
                stored = np.fromfile(stream, np.uint8, count)
                if stored.size < count:
                    raise ExportError(f"{self.file} became shorter while it was read; download the file again")
                with np.errstate(all="ignore"):  # NaN and infinity are found by those who check weights
                    values: Any = dequantize(stored[None], kind)
                piece = torch.from_numpy(np.ascontiguousarray(values.reshape(-1)))
                result[written : written + len(piece)] = piece
                written += len(piece)
        return result.view(self.shape)


def read_gguf_file(file: Path) -> Iterator[tuple[str, GgufTensor]]:
    """Names and places of the tensors. Reads the header only.

    Raises ``ExportError`` for a damaged file and for a type that cannot be dequantised.
    """
    header = read_gguf_header(file)
    byte_count = file.stat().st_size
    found = set()
    for info in header.tensors:
        if info.name in found:
            raise ExportError(f"{file} holds {info.name} twice; download the file again")
        found.add(info.name)
        tensor = _placed(file, info)
        end = tensor.offset + tensor.byte_count
        if end > byte_count:
            raise ExportError(
                f"{file} is cut short: {byte_count} bytes instead of at least {end}; download the file again"
            )
        yield info.name, tensor


def _placed(file: Path, info: TensorInfo) -> GgufTensor:
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

    try:
        kind = GGMLQuantizationType(info.type_number)
    except ValueError:
        kind = None
    if kind is None or kind.name not in READABLE_TYPES:
        type_name = f"GGUF type {info.type_number}" if kind is None else kind.name
        raise ExportError(
            f"{file} stores {info.name} as {type_name}, which cannot be read; give another quantisation, such as "
            "Q8_0, Q6_K or Q4_K"
        )
    block_elements, block_bytes = GGML_QUANT_SIZES[kind]
    element_count = math.prod(info.shape)
    if element_count % block_elements:
        raise ExportError(
            f"{file} gives {info.name} {element_count} elements, which are no whole blocks of {kind.name}; "
            "download the file again"
        )
    return GgufTensor(file, info.shape, kind.name, info.offset, element_count // block_elements * block_bytes)
