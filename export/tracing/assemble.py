"""Builds an ONNX graph from traces: one trace for each pattern, placed once for every segment with its own weights.

Weights stay outside the graph, as external data in the safetensors files that a ``ParameterIndex`` names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir
import torch
from torch import Tensor

from engine.bundle.graph_spec import TensorSpec
from export.atomic_file import replacing
from export.tracing.module_graph import Segment, TracedModule
from export.tracing.trace import OPSET_VERSION, Trace, trace
from export.weights.parameters import ParameterIndex

_IR_VERSION = 10


@dataclass(frozen=True)
class GraphDescription:
    """Inputs and outputs of a written graph, and its largest error and value; None where it was not compared."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    max_abs_error: float | None = None
    max_abs_value: float | None = None


def export_graph(traced: TracedModule, weights: ParameterIndex | None, file: Path) -> GraphDescription:
    """Traces a module and writes its graph. Weights that ``weights`` does not know are stored in the graph."""
    return save_graph(build_graph(traced, weights, file.parent), file)


def build_graph(
    traced: TracedModule, weights: ParameterIndex | None, base: Path, traces: dict[str, Trace] | None = None
) -> ir.Model:
    """Builds the graph in memory, to be saved in the folder ``base``. Weights bear the checkpoint's names.

    ``traces``, by pattern, are reused and added to. They must be of a module of the same structure and size.
    """
    return _Assembly(traced, weights, base, {} if traces is None else traces).model()


def save_graph(model: ir.Model, file: Path) -> GraphDescription:
    """Writes a graph atomically."""
    with replacing(file) as partial:
        ir.save(model, partial)
    return describe(model)


def describe(model: ir.Model) -> GraphDescription:
    """Inputs and outputs of a graph in the form of the manifest."""
    inputs, outputs = (tuple(map(_tensor_spec, values)) for values in (model.graph.inputs, model.graph.outputs))
    return GraphDescription(inputs, outputs)


def _tensor_spec(value: ir.Value) -> TensorSpec:
    dtype, shape = value.dtype, value.shape
    if dtype is None or shape is None:
        raise RuntimeError(f"the tracer gave {value.name} no type or no shape")
    axes = tuple(axis if isinstance(axis, int) else str(axis.value) for axis in shape)
    return TensorSpec.from_dict({"name": value.name, "dtype": str(dtype.numpy()), "shape": axes})


class _Assembly:
    """Traces each pattern of a module graph once and places a copy of its nodes for every segment."""

    def __init__(
        self,
        traced: TracedModule,
        weights: ParameterIndex | None,
        base: Path,
        traces: dict[str, Trace],
    ) -> None:
        self._traced, self._weights, self._base = traced, weights, base
        self._module_graph = traced.as_module_graph()
        self._graph = ir.Graph([], [], nodes=[], opset_imports={"": OPSET_VERSION}, name="main")
        self._traces = traces
        self._constants: dict[ir.Value, ir.Value] = {}
        self._parameters: dict[tuple[str, ir.DataType], ir.Value] = {}

    def model(self) -> ir.Model:
        with torch.no_grad():
            examples = self._module_graph.values(*self._traced.inputs.values())
        axes = {**self._traced.dynamic_axes, **self._module_graph.dynamic_axes}
        values: dict[str, ir.Value] = {}
        for index, segment in enumerate(self._module_graph.segments):
            if segment.pattern not in self._traces:
                inputs = {name: examples[name] for name in segment.inputs}
                self._traces[segment.pattern] = trace(segment.module, inputs, segment.outputs, axes)
            pattern = self._traces[segment.pattern]
            self._graph.opset_imports.update(pattern.graph.opset_imports)
            for name, value in zip(segment.inputs, pattern.inputs, strict=True):
                if name not in values:
                    values[name] = self._source(name, value)
            prefix = f"{segment.pattern}_{index}/" if len(self._module_graph.segments) > 1 else ""
            arguments = [values[name] for name in segment.inputs]
            values |= zip(segment.outputs, self._place(segment, pattern, arguments, prefix), strict=True)
        self._finish(values)
        return ir.Model(self._graph, ir_version=_IR_VERSION, producer_name="stillcue")

    def _source(self, name: str, like: ir.Value) -> ir.Value:
        """A value that no segment computes: an input of the graph, or a constant of the module graph."""
        value = ir.Value(name=name, type=like.type, shape=like.shape)
        if name in self._module_graph.constants:
            value.const_value = ir.tensor(self._module_graph.constants[name].contiguous().numpy(), name=name)
            self._graph.register_initializer(value)
        return value

    def _place(self, segment: Segment, pattern: Trace, arguments: list[ir.Value], prefix: str) -> list[ir.Value]:
        """Copies the nodes of a trace with the weights of this segment. Returns the segment's outputs."""
        placed: dict[ir.Value, ir.Value] = dict(zip(pattern.inputs, arguments, strict=True))
        tensors = dict((*segment.module.named_parameters(remove_duplicate=False), *segment.module.named_buffers()))
        for name, value in pattern.parameters.items():
            placed[value] = self._parameter(tensors[name], prefix + name, value)
        for value in pattern.graph.initializers.values():
            placed[value] = self._constant(value, f"{segment.pattern}/{value.name}" if prefix else str(value.name))
        for node in pattern.graph:
            copy = ir.Node(
                node.domain,
                node.op_type,
                [None if value is None else placed[value] for value in node.inputs],
                list(node.attributes.values()),
                num_outputs=len(node.outputs),
                name=f"{prefix}{node.name}",
            )
            for old, new in zip(node.outputs, copy.outputs, strict=True):
                new.name, new.type, new.shape = f"{prefix}{old.name}", old.type, old.shape
                placed[old] = new
            self._graph.append(copy)
        return [placed[value] for value in pattern.outputs]

    def _parameter(self, tensor: Tensor, name: str, traced: ir.Value) -> ir.Value:
        """The stored weight, behind a Cast where it was traced in another precision."""
        found = self._weights.find(tensor) if self._weights is not None else None
        if found is None:
            value = ir.Value(name=name, type=traced.type, shape=traced.shape)
            value.const_value = ir.tensor(tensor.detach().contiguous().numpy(), name=name)
            self._graph.register_initializer(value)
            return value
        stored_name, stored = found
        dtype = traced.dtype
        assert dtype is not None
        if (stored_name, dtype) in self._parameters:
            return self._parameters[stored_name, dtype]
        value = ir.Value(name=stored_name, type=ir.TensorType(stored.dtype), shape=ir.Shape(stored.shape))
        value.const_value = stored.external(stored_name, self._base)
        self._graph.register_initializer(value)
        if stored.dtype != dtype:
            cast = ir.node("Cast", [value], attributes={"to": int(dtype)}, name=f"{stored_name}.cast")
            cast.outputs[0].name = f"{stored_name}.as_{dtype.name.lower()}"
            cast.outputs[0].type, cast.outputs[0].shape = traced.type, traced.shape
            self._graph.append(cast)
            value = cast.outputs[0]
        self._parameters[stored_name, dtype] = value
        return value

    def _constant(self, value: ir.Value, name: str) -> ir.Value:
        """A small constant of a trace, shared by all copies of the trace."""
        if value not in self._constants:
            shared = ir.Value(name=name, type=value.type, shape=value.shape, const_value=value.const_value)
            self._graph.register_initializer(shared)
            self._constants[value] = shared
        return self._constants[value]

    def _finish(self, values: Mapping[str, ir.Value]) -> None:
        self._graph.inputs.extend(values[name] for name in self._traced.inputs if name in values)
        for name, own in zip(self._traced.output_names, self._module_graph.output_names, strict=True):
            values[own].name = name
            self._graph.outputs.append(values[own])
        _check_names(self._graph)


def _check_names(graph: ir.Graph) -> None:
    """Refuses a name that two values share: a runtime would refuse the graph later and less clearly."""
    names: Iterable[str | None] = (
        *(value.name for value in graph.inputs),
        *(value.name for value in graph.initializers.values()),
        *(value.name for node in graph for value in node.outputs),
    )
    seen: set[str | None] = set()
    for name in names:
        if name in seen:
            raise RuntimeError(f"two values of the graph are called {name}")
        seen.add(name)
