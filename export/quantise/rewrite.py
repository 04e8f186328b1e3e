"""Rewrites the linears of an ONNX graph to read quantised weights.

The tracer writes::

    weight [outputs, inputs] (-> Cast) -> Transpose -> MatMul(input, .)       or  Gemm(input, weight, transB=1)

Rewritten, for a weight alone (INT4, and INT8 without a range), and with its input (INT8, FP8)::

    values [inputs, outputs] -> DequantizeLinear -> MatMul(input, .)
    input -> QuantizeLinear -> DequantizeLinear -> MatMul(., the same)

Linears that share an input share its quantised form. Where scales have another type than the graph computes in, a Cast
follows; it keeps ONNX Runtime from its own four-bit kernel, which rounds inputs to eight bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx_ir as ir

from export.errors import ExportError
from export.quantise.encodings import LARGEST, QuantisedFormat
from export.quantise.node_pair import VALUE_DTYPES, initializer, insert_pair
from export.quantise.stored import QuantisedWeight

_BLOCKED_OPSET_VERSION = 21  # the first with blocks and four bits in DequantizeLinear
_IR_VERSION = 10


def quantise_graph(model: ir.Model, weights: Mapping[str, QuantisedWeight], base: Path) -> int:
    """Rewrites a graph in place; returns how many linears it changed.

    ``weights`` are by the names of the graph's initialisers, ``base`` is the folder in which the graph will lie.
    Raises ``ExportError`` where a node that is no linear reads a weight.
    """
    graph = model.graph
    inputs = _Inputs(graph, _ranges(graph, weights))
    count = 0
    for name, weight in weights.items():
        value = graph.initializers.get(name)
        if value is None:  # another graph of the component uses it
            continue
        linears, dead = _linears(value, name)
        if weight.values.shape != tuple(reversed(tuple(value.shape or ()))):
            raise ExportError(
                f"{name}: is {value.shape} in the graph, {list(reversed(weight.values.shape))} as stored; export again"
            )
        dtype = _dtype(linears[0], value)
        nodes, dequantised = _dequantised(graph, name, weight, dtype, base)
        # Directly before its first reader: placed earlier, the runtime would hold the result for longer.
        first = linears[0] if len(linears) == 1 else next(node for node in graph if node in linears)
        graph.insert_before(first, nodes)
        for linear in linears:
            _connect(linear, dequantised, inputs.quantised(linear, weight, dtype))
            count += 1
        for node in dead:
            graph.remove(node, safe=True)
        del graph.initializers[name]
    if any(weight.block_size for weight in weights.values()):
        graph.opset_imports[""] = max(graph.opset_imports[""], _BLOCKED_OPSET_VERSION)
        model.ir_version = max(model.ir_version, _IR_VERSION)
    return count


def _dtype(linear: ir.Node, weight: ir.Value) -> ir.DataType:
    """The type that a linear computes in. Its weight may be stored in another type, behind a Cast."""
    for value in (linear.inputs[1], linear.inputs[0], weight):
        if value is not None and value.dtype is not None:
            return value.dtype
    raise RuntimeError(f"the graph gives the inputs of {linear.name} no type")


def _linears(value: ir.Value, name: str) -> tuple[list[ir.Node], list[ir.Node]]:
    """The MatMul and Gemm nodes that read a weight, in order, and the nodes between, last first."""
    linears, dead = [], []
    for node in value.consumers():
        if node.op_type in {"Cast", "Transpose"}:
            found, below = _linears(node.outputs[0], name)
            linears += found
            dead += [*below, node]
        elif node.inputs[1] is value and _reads_weight(node):
            linears.append(node)
        else:
            raise ExportError(
                f"{name}: is read by {node.op_type}, only the weight of a linear can be quantised; leave it out of "
                "the recipe"
            )
    if not linears and not dead:
        raise ExportError(f"{name}: no node of the graph reads it; leave it out of the recipe")
    return linears, dead


def _reads_weight(node: ir.Node) -> bool:
    if node.op_type == "Gemm":
        return node.attributes.get_int("transB", 0) == 1 and node.attributes.get_int("transA", 0) == 0
    source = node.inputs[1]
    while source is not None and (producer := source.producer()) is not None and producer.op_type == "Cast":
        source = producer.inputs[0]
    producer = None if source is None else source.producer()
    is_turned = producer is not None and producer.op_type == "Transpose"
    return node.op_type == "MatMul" and is_turned


def _ranges(graph: ir.Graph, weights: Mapping[str, QuantisedWeight]) -> dict[tuple[ir.Value, QuantisedFormat], float]:
    """The largest range over all linears that read an input; they differ by rounding alone."""
    ranges: dict[tuple[ir.Value, QuantisedFormat], float] = {}
    for name, weight in weights.items():
        if weight.input_range is None or name not in graph.initializers:
            continue
        for linear in _linears(graph.initializers[name], name)[0]:
            source = linear.inputs[0]
            assert source is not None
            key = (source, weight.format_name)
            ranges[key] = max(ranges.get(key, 0.0), weight.input_range)
    return ranges


def _dequantised(
    graph: ir.Graph, name: str, weight: QuantisedWeight, dtype: ir.DataType, base: Path
) -> tuple[list[ir.Node], ir.Value]:
    values = _external(graph, f"{name}.quantised", weight, base)
    scales = initializer(graph, weight.scales.external(f"{name}.scale", base))
    attributes = {"axis": 0, "block_size": weight.block_size} if weight.block_size else {"axis": 1}
    if not weight.scales.shape:
        attributes = {}
    node = ir.node("DequantizeLinear", [values, scales], attributes=attributes, num_outputs=1)
    result = node.outputs[0]
    result.name, result.dtype, result.shape = f"{name}.dequantised", weight.scales.dtype, values.shape
    nodes = [node]
    if weight.scales.dtype != dtype:
        nodes.append(ir.node("Cast", [result], attributes={"to": int(dtype)}, num_outputs=1))
        result = nodes[-1].outputs[0]
        result.name, result.dtype, result.shape = f"{name}.cast", dtype, values.shape
    return nodes, result


def _external(graph: ir.Graph, name: str, weight: QuantisedWeight, base: Path) -> ir.Value:
    tensor = weight.values.external(name, base)
    if tensor.dtype != VALUE_DTYPES[weight.format_name]:
        raise ExportError(f"{name}: is stored as {tensor.dtype}, not {weight.format_name}; export again")
    return initializer(graph, tensor)


def _connect(linear: ir.Node, weight: ir.Value, source: ir.Value) -> None:
    linear.replace_input_with(0, source)
    linear.replace_input_with(1, weight)
    if linear.op_type == "Gemm":
        linear.attributes["transB"] = ir.AttrInt64("transB", 0)


class _Inputs:
    """Quantised forms of the inputs of linears, each made once."""

    def __init__(self, graph: ir.Graph, ranges: Mapping[tuple[ir.Value, QuantisedFormat], float]) -> None:
        self._graph = graph
        self._ranges = ranges
        self._made: dict[tuple[ir.Value, QuantisedFormat], ir.Value] = {}

    def quantised(self, linear: ir.Node, weight: QuantisedWeight, dtype: ir.DataType) -> ir.Value:
        """The value that the linear reads instead of its input."""
        source = linear.inputs[0]
        assert source is not None
        if weight.input_range is None:
            return source
        key = (source, weight.format_name)
        if key not in self._made:
            self._made[key] = self._make(source, weight.format_name, dtype, self._ranges[key])
        return self._made[key]

    def _make(self, source: ir.Value, form: QuantisedFormat, dtype: ir.DataType, largest: float) -> ir.Value:
        scale = largest / LARGEST[form]
        if not np.array(scale).astype(dtype.numpy()) > 0:
            raise ExportError(
                f"the input {source.name} of a linear was always zero in the calibration, so that its range is "
                "unknown; calibrate with other pictures and prompts"
            )
        return insert_pair(self._graph, source, form, scale, dtype)
