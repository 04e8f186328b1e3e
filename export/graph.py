"""A torch module becomes an ONNX file that points at its weights. Knows the tracer; knows no model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import onnx_ir as ir
import onnxscript.optimizer
import torch
from torch import Tensor, nn

from export.quiet import quiet_libraries
from export.weights import ComponentWeights, StoredWeight

OPSET_VERSION = 20
# Constants of more values are left as they are: folding a transposed weight would copy it into the graph file.
FOLDING_LIMIT_VALUE_COUNT = 4096


@dataclass(frozen=True)
class TracedModule:
    """A module with one example of each input and the names of its outputs, both in the module's order.

    ``dynamic_axes`` are the leading axes of an input that may have other lengths at run time. Where the module is
    written anew over a library's layers, ``library`` computes the same with the library's own forward.
    """

    module: nn.Module
    inputs: Mapping[str, Tensor]
    output_names: tuple[str, ...]
    dynamic_axes: Mapping[str, tuple[torch.export.Dim, ...]] = field(default_factory=dict)
    library: Callable[..., Tensor] | None = None

    def reference(self) -> tuple[Tensor, ...]:
        """What torch computes for the example."""
        with torch.no_grad():
            outputs = (self.library or self.module)(*self.inputs.values())
        return (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)


def export_graph(traced: TracedModule, weights: ComponentWeights | None, file: Path) -> None:
    """Traces a module and writes its graph atomically. Its weights stay in the files that ``weights`` knows."""
    model = _trace(traced)
    if weights is not None:
        _point_at_weights(model, weights.find(traced.module), file.parent)
    limit = FOLDING_LIMIT_VALUE_COUNT
    with quiet_libraries():  # one round is enough: the rest, the runtime's own optimiser finds
        onnxscript.optimizer.optimize_ir(
            model, num_iterations=1, input_size_limit=limit, output_size_limit=limit, should_fold=_may_fold
        )
    _drop_traces(model)
    partial = file.with_suffix(".partial")
    ir.save(model, partial)
    partial.replace(file)


def _trace(traced: TracedModule) -> ir.Model:
    axes = tuple(
        dict(enumerate(traced.dynamic_axes[name])) if name in traced.dynamic_axes else None for name in traced.inputs
    )
    with quiet_libraries():
        program = torch.onnx.export(
            traced.module.eval(),
            tuple(traced.inputs.values()),
            dynamo=True,
            opset_version=OPSET_VERSION,
            optimize=False,
            verbose=False,
            input_names=list(traced.inputs),
            output_names=list(traced.output_names),
            dynamic_shapes=axes if traced.dynamic_axes else None,
        )
    if program is None:
        raise RuntimeError("the tracer returned no program")
    return program.model


def _point_at_weights(model: ir.Model, weights: Mapping[str, StoredWeight], base: Path) -> None:
    """Replaces initialisers by pointers into files; other precisions than the traced one get a Cast."""
    graph = model.graph
    for name, value in list(graph.initializers.items()):
        stored = weights.get(name)
        if stored is None or value.const_value is None:
            continue
        traced_dtype = value.const_value.dtype
        tensor = stored.external(name, base)
        if stored.dtype == traced_dtype:
            value.const_value = tensor
            continue
        del graph.initializers[name]
        source = ir.Value(
            name=f"{name}.stored", type=ir.TensorType(stored.dtype), shape=tensor.shape, const_value=tensor
        )
        cast = ir.node("Cast", [source], attributes={"to": int(traced_dtype)}, outputs=[value])
        graph.register_initializer(source)
        graph.insert_before(graph[0], cast)


def _may_fold(node: ir.Node) -> bool | None:
    """The optimiser folds transposes whatever their size; a transposed weight would be a copy inside the graph file."""
    return False if node.op_type == "Transpose" else None


def _drop_traces(model: ir.Model) -> None:
    """Stack traces that the tracer attaches to every node are most of a graph file, and name paths of this machine."""
    for node in model.graph:
        node.metadata_props.clear()
        node.doc_string = None
    for value in (*model.graph.inputs, *model.graph.outputs):
        value.metadata_props.clear()
    model.metadata_props.clear()
    model.graph.metadata_props.clear()
