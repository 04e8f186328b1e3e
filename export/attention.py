"""Self-attention in graphs: one node for ONNX Runtime, and the operators that TensorRT fuses.

ONNX Runtime runs MatMul, Softmax, MatMul one after the other and holds the score of every pair of tokens; its own
operator ``MultiHeadAttention`` works in tiles, on the CPU and on CUDA. TensorRT does not know that operator and fuses
the three. So graphs hold the node, and ``spell_out`` replaces it where the operators are wanted: as an engine is
compiled, or before what is inside is quantised.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import onnx_ir as ir

DOMAIN = "com.microsoft"
OPERATOR = "MultiHeadAttention"
VERSION = 1
_Axis = int | ir.SymbolicDim


def spell_out(model: ir.Model) -> int:
    """Replaces every attention node by Transpose, MatMul and Softmax, in place; returns how many there were.

    The values of the node ``N`` are called ``N/query``, ``N/key``, ``N/value``, ``N/scores``, ``N/probabilities`` and
    ``N/mixed``; ``N/scores`` is the product of the first two, and ``N/mixed`` that of the next two.
    """
    nodes = [node for node in model.graph if (node.domain, node.op_type) == (DOMAIN, OPERATOR)]
    for node in nodes:
        spelled = _Spelled(node)
        result = spelled.result()
        ir.convenience.replace_nodes_and_values(model.graph, node, [node], spelled.nodes, list(node.outputs), [result])
    model.graph.opset_imports.pop(DOMAIN, None)
    return len(nodes)


class _Spelled:
    """The operators of one node: query, key and value [B, tokens, width] to [B, tokens, width], without a bias."""

    def __init__(self, node: ir.Node) -> None:
        self._node = node
        output = node.outputs[0]
        if output.dtype is None or output.shape is None or node.graph is None:
            raise RuntimeError(f"the graph gives the output of {node.name} no type or no shape")
        self._graph, self._dtype = node.graph, output.dtype
        self._batch, self._tokens, width = output.shape
        assert isinstance(width, int)
        self._head_count = node.attributes.get_int("num_heads", 0)
        self._head_size = width // self._head_count
        self.nodes: list[ir.Node] = []

    def result(self) -> ir.Value:
        """The last value; ``nodes`` holds the operators in order."""
        query, key, value = self._node.inputs[:3]
        batch, heads, tokens, size = self._batch, self._head_count, self._tokens, self._head_size
        split, turned = (batch, heads, tokens, size), (batch, heads, size, tokens)
        rows = self._scaled("query", self._heads("query_heads", query, [0, 2, 1, 3], split))
        columns = self._scaled("key", self._heads("key_heads", key, [0, 2, 3, 1], turned))
        values = self._heads("value", value, [0, 2, 1, 3], split)
        square = (batch, heads, tokens, tokens)
        scores = self._add("scores", "MatMul", [rows, columns], square)
        probabilities = self._add("probabilities", "Softmax", [scores], square, {"axis": -1})
        mixed = self._add("mixed", "MatMul", [probabilities, values], split)
        by_token = self._add("by_token", "Transpose", [mixed], (batch, tokens, heads, size), {"perm": [0, 2, 1, 3]})
        joined = self._constant("attention/joined", np.array([0, 0, heads * size]))
        return self._add("joined", "Reshape", [by_token, joined], (batch, tokens, heads * size))

    def _heads(self, name: str, value: ir.Value | None, order: list[int], shape: Iterable[_Axis]) -> ir.Value:
        heads, size = self._head_count, self._head_size
        split = self._constant("attention/split", np.array([0, 0, heads, size]))
        parts = self._add(f"{name}_parts", "Reshape", [value, split], (self._batch, self._tokens, heads, size))
        return self._add(name, "Transpose", [parts], shape, {"perm": order})

    def _scaled(self, name: str, value: ir.Value) -> ir.Value:
        """Times the root of the scale: scaled on both sides, sums in half precision stay small."""
        factor = np.array(self._head_size**-0.25).astype(self._dtype.numpy())
        root = self._constant(f"attention/root_of_scale_{self._dtype.name.lower()}", factor)
        return self._add(name, "Mul", [value, root], value.shape or ())

    def _add(
        self,
        name: str,
        operator: str,
        inputs: Sequence[ir.Value | None],
        shape: Iterable[_Axis],
        attributes: dict[str, int | list[int]] | None = None,
    ) -> ir.Value:
        name = f"{self._node.name}/{name}"
        node = ir.node(operator, inputs, attributes=attributes, name=name)
        value = node.outputs[0]
        value.name, value.dtype, value.shape = name, self._dtype, ir.Shape(shape)
        self.nodes.append(node)
        return value

    def _constant(self, name: str, values: np.ndarray) -> ir.Value:
        """A small constant, shared by all nodes of the graph."""
        found = self._graph.initializers.get(name)
        if found is None:
            tensor = ir.tensor(values, name=name)
            found = ir.Value(
                name=name, const_value=tensor, type=ir.TensorType(tensor.dtype), shape=ir.Shape(values.shape)
            )
            self._graph.register_initializer(found)
        return found
