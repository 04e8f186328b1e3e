"""Rewrites self-attention in an ONNX graph to compute in FP8.

Self-attention is one node, which ``export.attention`` spells out, with both factors of the scores multiplied by a
constant::

    MatMul(query · c, key · c) -> Softmax -> MatMul(., value)

Then each of the four inputs of products passes through QuantizeLinear and DequantizeLinear. Scales of query, key
and value are calibrated; probabilities are at most 1 and have the scale 1 / 448. TensorRT compiles this into one kernel
without a score matrix. Cross-attention has a bias between product and Softmax and stays as it is: its 512 keys at most
cost little.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import numpy as np
import onnx_ir as ir

from export.attention import spell_out
from export.errors import ExportError
from export.quantise.attention import AttentionRanges
from export.quantise.encodings import LARGEST
from export.quantise.node_pair import insert_pair

_VALUE_WEIGHT = re.compile(r"(?:.*\.)?(blocks\.\d+\.attn1)\.to_v\.weight(?:\.\w+)?")
_BETWEEN = frozenset({"Cast", "Transpose", "Reshape", "Add", "DequantizeLinear", "QuantizeLinear"})


def quantise_attention(model: ir.Model, attention: Mapping[str, AttentionRanges]) -> int:
    """Spells out and rewrites every self-attention of a graph in place; returns how many.

    ``attention`` is by the checkpoint's names. Raises ``ExportError`` for a self-attention without ranges.
    """
    spell_out(model)
    graph = model.graph
    found = list(_self_attentions(graph))
    present = {matched[1] for value in graph.initializers if (matched := _VALUE_WEIGHT.fullmatch(value))}
    if other := present - {name for name, *_ in found}:
        raise RuntimeError(f"the graph computes {min(other)} in another form than MatMul, Softmax, MatMul")
    for name, scores, mix in found:
        if name not in attention:
            raise ExportError(f"the calibration does not have {name}; calibrate this checkpoint again")
        ranges = attention[name]
        for node, index, largest in (
            (scores, 0, ranges.query),
            (scores, 1, ranges.key),
            (mix, 0, 1.0),
            (mix, 1, ranges.value),
        ):
            _round(graph, name, node, index, largest)
    return len(found)


def _self_attentions(graph: ir.Graph) -> Iterator[tuple[str, ir.Node, ir.Node]]:
    """The checkpoint's name and both products of each self-attention: the one before the Softmax, the one behind."""
    for node in graph:
        if node.op_type != "Softmax" or node.inputs[0] is None:
            continue
        before, behind = node.inputs[0].producer(), [use.node for use in node.outputs[0].uses()]
        if before is None or [before.op_type, *(item.op_type for item in behind)] != ["MatMul", "MatMul"]:
            continue
        name = _name(behind[0].inputs[1])
        if name is not None:
            yield name, before, behind[0]


def _name(value: ir.Value | None) -> str | None:
    """The name of the self-attention whose value projection computes a value; None if none does."""
    if value is None:
        return None
    if value.name is not None and (matched := _VALUE_WEIGHT.fullmatch(value.name)):
        return matched[1]
    node = value.producer()
    if node is None:
        return None
    sources = (
        node.inputs[1:2] if node.op_type in {"MatMul", "Gemm"} else node.inputs if node.op_type in _BETWEEN else ()
    )
    return next((name for source in sources if (name := _name(source)) is not None), None)


def _round(graph: ir.Graph, name: str, node: ir.Node, index: int, largest: float) -> None:
    source = node.inputs[index]
    assert source is not None
    if source.dtype is None:
        raise RuntimeError(f"the graph gives {source.name} no type")
    scale = largest * _factor(source) / LARGEST["fp8"]
    if not np.array(scale).astype(source.dtype.numpy()) > 0:
        raise ExportError(
            f"a factor of {name} was always zero in the calibration, so that its range is unknown; calibrate with "
            "other pictures and prompts"
        )
    node.replace_input_with(index, insert_pair(graph, source, "fp8", scale, source.dtype))


def _factor(value: ir.Value) -> float:
    """The constant that the last node multiplies by; 1 for other nodes."""
    node = value.producer()
    if node is None or node.op_type != "Mul":
        return 1.0
    constants = [item.const_value for item in node.inputs if item is not None and item.const_value is not None]
    return float(constants[0].numpy().item()) if len(constants) == 1 and constants[0].size == 1 else 1.0
