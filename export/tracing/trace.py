"""Traces a torch module to ONNX nodes with ``torch.onnx.export`` and optimises them.

Weights become inputs of the traced graph instead of constants. Nothing is folded into them, so one trace serves every
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
from export.tracing.module_graph import DynamicAxes
from export.tracing.self_attention import TRANSLATIONS

OPSET_VERSION = 20
# Constants of more values are not folded, so that the graph file stays small.
FOLDING_LIMIT_VALUE_COUNT = 4096


@dataclass(frozen=True)
class Trace:
    """The ONNX nodes of a module. ``parameters`` are graph inputs too, by the module's names of its weights."""

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
    """Traces a module for example inputs. ``dynamic_axes`` are leading axes that may have other lengths at run time."""
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
            custom_translation_table=dict(TRANSLATIONS),
        )
        if program is None:
            raise RuntimeError("the tracer returned no program")
        model = program.model
        parameters = _parameters_as_inputs(model.graph, module)
        limit = FOLDING_LIMIT_VALUE_COUNT  # one round is enough, the runtime optimises further
        onnxscript.optimizer.optimize_ir(model, num_iterations=1, input_size_limit=limit, output_size_limit=limit)
    given = tuple(value for value in model.graph.inputs if value.name not in parameters)
    return Trace(model.graph, given, parameters, tuple(model.graph.outputs))


def _parameters_as_inputs(graph: ir.Graph, module: nn.Module) -> dict[str, ir.Value]:
    """Turns every parameter and every meta buffer into a graph input. Other buffers stay constants."""
    names = {name for name, _ in module.named_parameters(remove_duplicate=False)}
    names |= {name for name, buffer in module.named_buffers(remove_duplicate=False) if buffer.is_meta}
    found = {name: value for name, value in graph.initializers.items() if name in names}
    for name, value in found.items():
        del graph.initializers[name]
        value.const_value = None
        graph.inputs.append(value)
    return found
