"""A graph that a CPU computes in float32, with every result rounded to half precision, as a card stores it.

A card's kernels multiply in half precision and add up in float32; what they hand on is rounded. So here every result
of arithmetic goes through a Cast down and up. The insides of norms stay as they are: they are float32 on the card too
(the libraries' ``_keep_in_fp32_modules``). ONNX Runtime has hardly any kernels for bfloat16, hence this.
"""

from __future__ import annotations

import onnx_ir as ir

_ROUNDED = frozenset({"MatMul", "Gemm", "Conv", "Add", "Sub", "Mul", "Softmax", "Gelu", "Sigmoid", "Tanh", "Erf"})


def round_results(model: ir.Model, dtype: ir.DataType) -> int:
    """Changes a graph in place; returns how many results are rounded. Results of integers are left alone."""
    graph = model.graph
    outputs = set(graph.outputs)
    count = 0
    for node in list(graph):
        (result,) = node.outputs if len(node.outputs) == 1 else (None,)
        if result is None or node.op_type not in _ROUNDED or _is_integer(node):
            continue
        if result in outputs:  # the last result is float32 on the card too
            continue
        consumers = [(usage.node, usage.idx) for usage in result.uses()]
        down = ir.node("Cast", [result], attributes={"to": int(dtype)}, num_outputs=1)
        up = ir.node("Cast", [down.outputs[0]], attributes={"to": int(ir.DataType.FLOAT)}, num_outputs=1)
        down.outputs[0].name, up.outputs[0].name = f"{result.name}.half", f"{result.name}.rounded"
        graph.insert_after(node, [down, up])
        for consumer, index in consumers:
            consumer.replace_input_with(index, up.outputs[0])
        count += 1
    return count


def _is_integer(node: ir.Node) -> bool:
    """By the types that the exporter's graphs state; constants of integers are among the inputs otherwise."""
    for value in (*node.outputs, *node.inputs):
        if value is not None and value.dtype is not None:
            return value.dtype in {ir.DataType.INT64, ir.DataType.INT32, ir.DataType.BOOL}
    return False
