"""Reads from a graph file the precisions that it computes in and the names of its inputs. Reads no weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from engine.bundle.graph_spec import Precision
from export.errors import ExportError

_PRECISIONS: dict[ir.DataType, Precision] = {
    ir.DataType.FLOAT: "fp32",
    ir.DataType.FLOAT16: "fp16",
    ir.DataType.BFLOAT16: "bf16",
    ir.DataType.INT8: "int8",
    ir.DataType.FLOAT8E4M3FN: "fp8",
    ir.DataType.INT4: "int4",
}
_DTYPE_ATTRIBUTES = ("to", "dtype", "output_dtype")  # of Cast, random and constant nodes, QuantizeLinear


@dataclass(frozen=True, slots=True)
class GraphHeader:
    """Precisions of weights and conversions, and names of the inputs in order."""

    precisions: frozenset[Precision]
    input_names: tuple[str, ...]


def read_graph_header(file: Path) -> GraphHeader:
    """Reads a graph file. Raises ``ExportError`` for a file that is not an ONNX graph."""
    try:
        graph = ir.load(file).graph
        dtypes = set(_dtypes(graph))
    except OSError as error:
        raise ExportError(f"cannot read {file}: {error.strerror}; export the checkpoint again") from error
    except Exception as error:  # protobuf's own types, none of them public
        raise ExportError(f"{file} is not an ONNX graph: {error}; export the checkpoint again") from error
    if not graph.outputs:  # an empty file is a valid message
        raise ExportError(f"{file} is not an ONNX graph: it has no outputs; export the checkpoint again")
    return GraphHeader(
        precisions=frozenset(_PRECISIONS[dtype] for dtype in dtypes if dtype in _PRECISIONS),
        input_names=tuple(value.name or "" for value in graph.inputs),
    )


def _dtypes(graph: ir.Graph) -> Iterator[ir.DataType]:
    for value in (*graph.initializers.values(), *graph.inputs, *graph.outputs):
        if value.dtype is not None:
            yield value.dtype
    for node in graph.all_nodes():
        for name in _DTYPE_ATTRIBUTES:
            attribute = node.attributes.get(name)
            if attribute is not None and attribute.type == ir.AttributeType.INT:
                yield ir.DataType(attribute.as_int())
        constant = node.attributes.get("value")
        if constant is not None and constant.type == ir.AttributeType.TENSOR:
            yield constant.as_tensor().dtype
