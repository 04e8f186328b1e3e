"""Where each weight lies on disk. Knows safetensors files and module parameters; knows no model.

A graph does not hold its weights: it points into the safetensors files of its component by file, offset and
length, so that every graph of a component, at every size, shares one copy.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir
import torch
from safetensors.torch import save_file
from torch import nn

_DTYPES = {
    "F64": ir.DataType.DOUBLE,
    "F32": ir.DataType.FLOAT,
    "F16": ir.DataType.FLOAT16,
    "BF16": ir.DataType.BFLOAT16,
}


@dataclass(frozen=True)
class StoredWeight:
    """One tensor inside a safetensors file; ``offset`` counts bytes from the start of the file."""

    file: Path
    dtype: ir.DataType
    shape: tuple[int, ...]
    offset: int
    byte_count: int

    def external(self, name: str, base: Path) -> ir.ExternalTensor:
        """The weight as ONNX external data, its location relative to the graph's folder ``base``."""
        return ir.ExternalTensor(
            location=str(self.file.relative_to(base)),
            offset=self.offset,
            length=self.byte_count,
            dtype=self.dtype,
            shape=ir.Shape(self.shape),
            name=name,
            base_dir=base,
        )


class ComponentWeights:
    """Finds the stored weight of each parameter of a module, whatever path the module is reached by."""

    def __init__(self, component: nn.Module, files: list[Path]) -> None:
        self.files = files
        stored = {name: weight for file in files for name, weight in _read_header(file)}
        self._by_address: dict[int, StoredWeight] = {}
        for name, tensor in _named_tensors(component):
            if name in stored and tensor.data_ptr():
                self._by_address[tensor.data_ptr()] = stored[name]

    def find(self, module: nn.Module) -> Mapping[str, StoredWeight]:
        """Stored weights by the names that ``module``, which wraps the component, gives them."""
        return {
            name: self._by_address[tensor.data_ptr()]
            for name, tensor in _named_tensors(module)
            if tensor.data_ptr() in self._by_address
        }


def store_weights(component: nn.Module, file: Path) -> ComponentWeights:
    """Writes a component's weights as float32 and returns where they are. Tied weights are written once."""
    unique: dict[int, tuple[str, torch.Tensor]] = {}
    for name, tensor in component.state_dict(keep_vars=True).items():
        unique.setdefault(tensor.data_ptr(), (name, tensor))
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    save_file({name: tensor.detach().float().contiguous() for name, tensor in unique.values()}, partial)
    partial.chmod(0o644)  # the library lets only the owner read; who serves is often someone else
    partial.replace(file)
    return ComponentWeights(component, [file])


def _named_tensors(module: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    yield from module.named_parameters(remove_duplicate=False)
    yield from module.named_buffers(remove_duplicate=False)


def _read_header(file: Path) -> Iterator[tuple[str, StoredWeight]]:
    """Entries of a safetensors file: 8 bytes of header length, a JSON header, then the data."""
    with file.open("rb") as stream:
        (header_length,) = struct.unpack("<Q", stream.read(8))
        header = json.loads(stream.read(header_length))
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] not in _DTYPES:
            continue
        start, end = entry["data_offsets"]
        yield (
            name,
            StoredWeight(file, _DTYPES[entry["dtype"]], tuple(entry["shape"]), 8 + header_length + start, end - start),
        )
