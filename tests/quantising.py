"""Small linear layers for tests of quantisation: weights in a file, and graphs that read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from export.quantise.encodings import Encoding
from export.quantise.rewrite import quantise_graph
from export.quantise.stored import QuantisedWeights
from export.quantise.writer import write_tensors
from export.weights.shards import Shards

_DTYPES = {ir.DataType.FLOAT: "float", ir.DataType.FLOAT16: "float16", ir.DataType.BFLOAT16: "bfloat16"}


class Tensors:
    """A weight source in memory."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = dict(tensors)

    def names(self) -> Sequence[str]:
        return tuple(self._tensors)

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._tensors[name].shape)

    def dtype(self, name: str) -> torch.dtype:
        return self._tensors[name].dtype

    def read(self, name: str) -> Tensor:
        return self._tensors[name].clone()


def weight(output_count: int, input_count: int, seed: int = 0) -> Tensor:
    """Returns a weight [outputs, inputs] whose rows differ in range, as in trained models."""
    generator = torch.Generator().manual_seed(seed)
    reach = torch.rand(output_count, 1, generator=generator) + 0.1
    return torch.randn(output_count, input_count, generator=generator) * reach / input_count**0.5


def write_quantised(folder: Path, tensors: Mapping[str, Tensor], encodings: Mapping[str, Encoding]) -> QuantisedWeights:
    """Encodes tensors and writes them to ``folder/weights/quantised.safetensors``."""
    source = folder / "source.safetensors"
    save_file(dict(tensors), source)
    file = folder / "weights" / "quantised.safetensors"
    write_tensors(Shards.of_file(source), encodings, file)
    return QuantisedWeights.open(file)


def linear_graph(shapes: Mapping[str, tuple[int, int]], body: str, dtype: ir.DataType = ir.DataType.FLOAT) -> ir.Model:
    """Returns a graph from ``x`` [2, 5, inputs] to ``y``: named weights [outputs, inputs], body in ONNX's text form.

    The weights are zeros until ``quantise_graph`` or ``fill`` sets them.
    """
    kind = _DTYPES[dtype]
    input_count = next(iter(shapes.values()))[1]
    parameters = "".join(f", {kind}[{rows},{columns}] {name}" for name, (rows, columns) in shapes.items())
    signature = f"g ({kind}[2,5,{input_count}] x{parameters}) => ({kind} y)"
    model = ir.from_onnx_text(f'<ir_version: 10, opset_import: ["" : 20]> {signature} {{{body}}}')
    graph = model.graph
    for value in list(graph.inputs)[1:]:
        graph.inputs.remove(value)
        assert value.name is not None
        assert value.shape is not None
        assert value.dtype is not None
        zeros = np.zeros(value.shape.numpy(), value.dtype.numpy())
        value.const_value = ir.Tensor(zeros, dtype=value.dtype, name=value.name)
        graph.register_initializer(value)
    return model


def quantised_linear(
    folder: Path, tensors: Mapping[str, Tensor], encodings: Mapping[str, Encoding], body: str, dtype: ir.DataType
) -> Path:
    """Saves a ``linear_graph`` with encoded weights in the folder and returns the file."""
    weights = write_quantised(folder, tensors, encodings)
    shapes = {name: (int(tensor.shape[0]), int(tensor.shape[1])) for name, tensor in tensors.items()}
    model = linear_graph(shapes, body, dtype)
    quantise_graph(model, weights.quantised, folder)
    file = folder / "linear.onnx"
    ir.save(model, file)
    return file


def run(file: Path, inputs: Mapping[str, NDArray[np.generic]], *, exact: bool = True) -> NDArray[np.float32]:
    """Returns the first output of a graph on the CPU; ``exact`` disables the runtime's graph optimisations."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    level = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_DISABLE_ALL if exact else level.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    result: NDArray[np.float32] = session.run(None, dict(inputs))[0]
    return result
