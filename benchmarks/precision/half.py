"""Emulates a GPU's half precision in a float32 graph on a CPU: every arithmetic result is rounded to half precision.

A GPU's kernels multiply in half precision, accumulate in float32 and round their results. Here every arithmetic result
passes through a Cast to half precision and back. The inside of norms is not rounded: it is float32 on the GPU too
(``_keep_in_fp32_modules`` of Diffusers and transformers). Emulated because ONNX Runtime has few bfloat16 kernels for
CPUs.
"""

from __future__ import annotations

import onnx_ir as ir

_ROUNDED = frozenset({"MatMul", "Gemm", "Conv", "Add", "Sub", "Mul", "Softmax", "Gelu", "Sigmoid", "Tanh", "Erf"})


def round_results(model: ir.Model, dtype: ir.DataType) -> int:
    """Inserts the casts into a graph in place, except after integer results; returns their number."""
    graph = model.graph
    outputs = set(graph.outputs)
    count = 0
    for node in list(graph):
        (result,) = node.outputs if len(node.outputs) == 1 else (None,)
        if result is None or node.op_type not in _ROUNDED or _is_integer(node):
            continue
        if result in outputs:  # the graph's output is float32 on the GPU too
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
    """Returns True for integer results: by the stated type, or without one by integer constants among the inputs."""
    for value in (*node.outputs, *node.inputs):
        if value is not None and value.dtype is not None:
            return value.dtype in {ir.DataType.INT64, ir.DataType.INT32, ir.DataType.BOOL}
    return False
