"""A QuantizeLinear and a DequantizeLinear in a graph: a value rounded to a format, in the type that the graph uses."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from export.quantise.encodings import QuantisedFormat

VALUE_DTYPES: Mapping[QuantisedFormat, ir.DataType] = {
    "int8": ir.DataType.INT8,
    "fp8": ir.DataType.FLOAT8E4M3FN,
    "int4": ir.DataType.INT4,
}


def insert_pair(graph: ir.Graph, source: ir.Value, form: QuantisedFormat, scale: float, dtype: ir.DataType) -> ir.Value:
    """Inserts both nodes behind the node that computes ``source``; returns the rounded value, which nothing reads yet.

    ``dtype`` is the type that the graph computes in; ``scale`` is positive in it.
    """
    name = f"{source.name}.{form}"
    scales = initializer(graph, ir.Tensor(np.array(scale).astype(dtype.numpy()), dtype=dtype, name=f"{name}.scale"))
    kind = VALUE_DTYPES[form]
    zero = initializer(graph, ir.Tensor(np.zeros((), kind.numpy()), dtype=kind, name=f"{name}.zero"))
    down = ir.node("QuantizeLinear", [source, scales, zero], num_outputs=1)
    up = ir.node("DequantizeLinear", [down.outputs[0], scales, zero], num_outputs=1)
    for node, suffix, result_dtype in ((down, "quantised", kind), (up, "dequantised", dtype)):
        result = node.outputs[0]
        result.name, result.dtype, result.shape = f"{name}.{suffix}", result_dtype, source.shape
    producer = source.producer()
    if producer is None:  # an input of the graph
        graph.insert_before(graph[0], [down, up])
    else:
        graph.insert_after(producer, [down, up])
    return up.outputs[0]


def initializer(graph: ir.Graph, tensor: ir.TensorProtocol) -> ir.Value:
    """Adds a constant to a graph."""
    value = ir.Value(
        name=tensor.name, type=ir.TensorType(tensor.dtype), shape=ir.Shape(tensor.shape.numpy()), const_value=tensor
    )
    graph.register_initializer(value)
    return value
