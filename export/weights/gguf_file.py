"""GGUF files, as quantised transformers and text encoders are published, read tensor by tensor.

The arithmetic of each type is that of the ``gguf`` package (llama.cpp). A tensor is dequantised in pieces, so that
reading needs the memory of its result and a few megabytes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from export.errors import ExportError
from export.weights.gguf_header import TensorInfo, read_gguf_header

# The types whose values a tensor holds alone. NVFP4 has scales in tensors of its own; the others are no weights.
_FLOATS = ("F32", "F16", "BF16")
_BLOCKS = ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS", "MXFP4")
_FEW_BITS = ("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "TQ1_0", "TQ2_0")
READABLE_TYPES = (*_FLOATS, *_BLOCKS, *_FEW_BITS)
_PIECE_ELEMENTS = 1 << 15  # a multiple of every block's length; the fastest length measured (ADR 0021)


@dataclass(frozen=True)
class GgufTensor:
    """Place and type of one tensor. ``shape`` is in torch's order; ``offset`` counts from the start of the file."""

    shape: tuple[int, ...]
    type_name: str
    offset: int
    byte_count: int


class GgufFile:
    """The tensors of a GGUF file, dequantised when read. A ``WeightSource``."""

    def __init__(self, file: Path, architecture: str, tensors: Mapping[str, GgufTensor]) -> None:
        self.file = file
        self.architecture = architecture
        self.tensors = dict(tensors)

    @classmethod
    def open(cls, file: Path) -> Self:
        """Reads the header. Raises ``ExportError`` for a damaged file and for a type that cannot be dequantised."""
        header = read_gguf_header(file)
        byte_count = file.stat().st_size
        tensors: dict[str, GgufTensor] = {}
        for info in header.tensors:
            if info.name in tensors:
                raise ExportError(f"{file.name} holds {info.name} twice; download the file again")
            tensor = _placed(file, info)
            if tensor.offset + tensor.byte_count > byte_count:
                raise ExportError(
                    f"{file.name} is cut short: {byte_count} bytes instead of at least "
                    f"{tensor.offset + tensor.byte_count}; download the file again"
                )
            tensors[info.name] = tensor
        return cls(file, header.architecture, tensors)

    def names(self) -> Sequence[str]:
        """Every name, in the order of the file."""
        return tuple(self.tensors)

    def shape(self, name: str) -> tuple[int, ...]:
        """Lengths of the axes, in torch's order."""
        return self._tensor(name).shape

    def type_name(self, name: str) -> str:
        """The type in which the tensor is stored, such as ``Q4_K``."""
        return self._tensor(name).type_name

    def dtype(self, name: str) -> torch.dtype:  # noqa: ARG002
        """Type of the tensor that ``read`` returns unless told otherwise."""
        return torch.float32

    def read(self, name: str, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """The dequantised tensor. Only one piece of it exists in float32 if ``dtype`` is another."""
        from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
        from gguf.quants import dequantize

        tensor = self._tensor(name)
        kind = GGMLQuantizationType[tensor.type_name]
        block_elements, block_bytes = GGML_QUANT_SIZES[kind]
        piece_bytes = _PIECE_ELEMENTS // block_elements * block_bytes
        result = torch.empty(math.prod(tensor.shape), dtype=dtype)
        written = 0
        with self.file.open("rb") as stream:
            stream.seek(tensor.offset)
            for start in range(0, tensor.byte_count, piece_bytes):
                count = min(piece_bytes, tensor.byte_count - start)
                stored = np.fromfile(stream, np.uint8, count)
                if stored.size < count:
                    raise ExportError(f"{self.file.name} became shorter while it was read; download the file again")
                with np.errstate(all="ignore"):  # NaN and infinity are found by those who check weights
                    values: Any = dequantize(stored[None], kind)
                piece = torch.from_numpy(np.ascontiguousarray(values.reshape(-1)))
                result[written : written + len(piece)] = piece
                written += len(piece)
        return result.view(tensor.shape)

    def _tensor(self, name: str) -> GgufTensor:
        if name not in self.tensors:
            raise ExportError(f"{self.file.name} holds no {name}; download the file again")
        return self.tensors[name]


def _placed(file: Path, info: TensorInfo) -> GgufTensor:
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

    try:
        kind = GGMLQuantizationType(info.type_number)
    except ValueError:
        kind = None
    if kind is None or kind.name not in READABLE_TYPES:
        type_name = f"GGUF type {info.type_number}" if kind is None else kind.name
        raise ExportError(
            f"{file.name} stores {info.name} as {type_name}, which cannot be read; give another quantisation, such as "
            "Q8_0, Q6_K or Q4_K"
        )
    block_elements, block_bytes = GGML_QUANT_SIZES[kind]
    element_count = math.prod(info.shape)
    if element_count % block_elements:
        raise ExportError(
            f"{file.name} gives {info.name} {element_count} elements, which are no whole blocks of {kind.name}; "
            "download the file again"
        )
    return GgufTensor(info.shape, kind.name, info.offset, element_count // block_elements * block_bytes)
