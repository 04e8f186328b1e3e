"""A torch module becomes ONNX nodes without any weight. Knows the tracer and the optimiser; knows no file.

Weights are inputs of what is traced, not constants: nothing can be folded into them, so what comes out serves every
module of the same structure, and memory does not depend on the size of the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx_ir as ir
import onnxscript.optimizer
import torch
from torch import Tensor, nn

from export.library_logging import quiet_libraries

OPSET_VERSION = 20
# Constants of more values are left as they are: folding must not make the graph file large.
FOLDING_LIMIT_VALUE_COUNT = 4096

DynamicAxes = tuple[torch.export.Dim, ...]


@dataclass(frozen=True)
class Trace:
    """Nodes of a module. ``parameters`` are inputs of the graph too, by the module's own names for its weights."""

    graph: ir.Graph
    inputs: tuple[ir.Value, ...]
    parameters: Mapping[str, ir.Value]
    outputs: tuple[ir.Value, ...]


def trace(
    module: nn.Module,
    inputs: Mapping[str, Tensor],
    output_names: Sequence[str],
    dynamic_axes: Mapping[str, DynamicAxes],
) -> Trace:
    """Traces a module for examples of its inputs; ``dynamic_axes`` are leading axes that may have other lengths."""
    axes = tuple(dict(enumerate(dynamic_axes[name])) if name in dynamic_axes else None for name in inputs)
    with quiet_libraries():
        program = torch.onnx.export(
            module.eval(),
            tuple(inputs.values()),
            dynamo=True,
            opset_version=OPSET_VERSION,
            optimize=False,
            verbose=False,
            input_names=list(inputs),
            output_names=list(output_names),
            dynamic_shapes=axes if any(axes) else None,
        )
        if program is None:
            raise RuntimeError("the tracer returned no program")
        model = program.model
        parameters = _parameters_as_inputs(model.graph, module)
        limit = FOLDING_LIMIT_VALUE_COUNT  # one round is enough: the rest, the runtime's own optimiser finds
        onnxscript.optimizer.optimize_ir(model, num_iterations=1, input_size_limit=limit, output_size_limit=limit)
    given = tuple(value for value in model.graph.inputs if value.name not in parameters)
    return Trace(model.graph, given, parameters, tuple(model.graph.outputs))


def _parameters_as_inputs(graph: ir.Graph, module: nn.Module) -> dict[str, ir.Value]:
    """Every parameter, and every buffer without numbers, becomes an input. Other buffers stay: they are constants."""
    names = {name for name, _ in module.named_parameters(remove_duplicate=False)}
    names |= {name for name, buffer in module.named_buffers(remove_duplicate=False) if buffer.is_meta}
    found = {name: value for name, value in graph.initializers.items() if name in names}
    for name, value in found.items():
        del graph.initializers[name]
        value.const_value = None
        graph.inputs.append(value)
    return found
