"""A model becomes an ONNX file that points at its weights. Knows chains and stored weights; knows no model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import onnx_ir as ir
import torch
from torch import Tensor, nn

from engine.bundle.graph_spec import TensorSpec
from export.tracing.module_graph import Chain, Link
from export.tracing.trace import OPSET_VERSION, DynamicAxes, Trace, trace
from export.weights.parameters import ComponentWeights

_IR_VERSION = 10


@dataclass(frozen=True)
class TracedModule:
    """A module with one example of each input and the names of its outputs, both in the module's order.

    The module may be a ``Chain``. Module and inputs are on the meta device where there is nothing to compute.
    ``dynamic_axes`` are the leading axes of an input that may have other lengths at run time. Where the module is
    written anew over a library's layers, ``library`` computes the same with the library's own forward.
    """

    module: nn.Module
    inputs: Mapping[str, Tensor]
    output_names: tuple[str, ...]
    dynamic_axes: Mapping[str, DynamicAxes] = field(default_factory=dict)
    library: Callable[..., Tensor] | None = None

    def reference(self) -> tuple[Tensor, ...]:
        """What torch computes for the example."""
        with torch.no_grad():
            outputs = (self.library or self.module)(*self.inputs.values())
        return (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)


def export_graph(traced: TracedModule, weights: ComponentWeights | None, file: Path) -> None:
    """Traces a module and writes its graph atomically. Its weights stay in the files that ``weights`` knows."""
    save_graph(build_graph(traced, weights, file.parent), file)


def build_graph(
    traced: TracedModule, weights: ComponentWeights | None, base: Path, traces: dict[str, Trace] | None = None
) -> ir.Model:
    """The graph in memory, to be saved in folder ``base``. Weights bear the names of the checkpoint.

    ``traces`` are those of a module of the same structure and size by pattern, to be used and added to.
    """
    chain = traced.module
    if not isinstance(chain, Chain):
        names = tuple(traced.inputs)
        chain = Chain([Link(chain, names, traced.output_names, "")], names, traced.output_names)
    return _Assembly(chain, traced, weights, base, {} if traces is None else traces).model()


def save_graph(model: ir.Model, file: Path) -> None:
    """Writes a graph atomically."""
    partial = file.with_suffix(".partial")
    ir.save(model, partial)
    partial.replace(file)


def tensor_specs(values: Iterable[ir.Value]) -> tuple[TensorSpec, ...]:
    """Inputs or outputs of a graph as the manifest states them."""
    return tuple(_tensor_spec(value) for value in values)


def _tensor_spec(value: ir.Value) -> TensorSpec:
    dtype, shape = value.dtype, value.shape
    if dtype is None or shape is None:
        raise RuntimeError(f"the tracer gave {value.name} no type or no shape")
    axes = tuple(axis if isinstance(axis, int) else str(axis.value) for axis in shape)
    return TensorSpec.model_validate({"name": value.name, "dtype": str(dtype.numpy()), "shape": axes})


class _Assembly:
    """Traces each pattern of a chain once, and puts a copy of its nodes in place for every link."""

    def __init__(
        self,
        chain: Chain,
        traced: TracedModule,
        weights: ComponentWeights | None,
        base: Path,
        traces: dict[str, Trace],
    ) -> None:
        self._chain, self._traced, self._weights, self._base = chain, traced, weights, base
        self._graph = ir.Graph([], [], nodes=[], opset_imports={"": OPSET_VERSION}, name="main")
        self._traces = traces
        self._constants: dict[ir.Value, ir.Value] = {}
        self._parameters: dict[tuple[str, ir.DataType], ir.Value] = {}

    def model(self) -> ir.Model:
        with torch.no_grad():
            examples = self._chain.values(*self._traced.inputs.values())
        axes = {**self._traced.dynamic_axes, **self._chain.dynamic_axes}
        values: dict[str, ir.Value] = {}
        for index, link in enumerate(self._chain.links):
            if link.pattern not in self._traces:
                inputs = {name: examples[name] for name in link.inputs}
                self._traces[link.pattern] = trace(link.module, inputs, link.outputs, axes)
            pattern = self._traces[link.pattern]
            for name, value in zip(link.inputs, pattern.inputs, strict=True):
                if name not in values:
                    values[name] = self._source(name, value)
            prefix = f"{link.pattern}_{index}/" if len(self._chain.links) > 1 else ""
            arguments = [values[name] for name in link.inputs]
            values |= zip(link.outputs, self._place(link, pattern, arguments, prefix), strict=True)
        self._finish(values)
        return ir.Model(self._graph, ir_version=_IR_VERSION, producer_name="stillcue")

    def _source(self, name: str, like: ir.Value) -> ir.Value:
        """A value that no link gives: an input of the graph, or a constant of the chain."""
        value = ir.Value(name=name, type=like.type, shape=like.shape)
        if name in self._chain.constants:
            value.const_value = ir.tensor(self._chain.constants[name].contiguous().numpy(), name=name)
            self._graph.register_initializer(value)
        return value

    def _place(self, link: Link, pattern: Trace, arguments: list[ir.Value], prefix: str) -> list[ir.Value]:
        """Copies the nodes of a trace, with the weights of this link. Gives the link's outputs."""
        placed: dict[ir.Value, ir.Value] = dict(zip(pattern.inputs, arguments, strict=True))
        tensors = dict((*link.module.named_parameters(remove_duplicate=False), *link.module.named_buffers()))
        for name, value in pattern.parameters.items():
            placed[value] = self._parameter(tensors[name], prefix + name, value)
        for value in pattern.graph.initializers.values():
            placed[value] = self._constant(value, f"{link.pattern}/{value.name}" if prefix else str(value.name))
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
        """The stored weight; another precision than the traced one gets a Cast."""
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
        """A small constant of a trace, shared by every copy of it."""
        if value not in self._constants:
            shared = ir.Value(name=name, type=value.type, shape=value.shape, const_value=value.const_value)
            self._graph.register_initializer(shared)
            self._constants[value] = shared
        return self._constants[value]

    def _finish(self, values: Mapping[str, ir.Value]) -> None:
        self._graph.inputs.extend(values[name] for name in self._traced.inputs if name in values)
        for name, own in zip(self._traced.output_names, self._chain.output_names, strict=True):
            values[own].name = name
            self._graph.outputs.append(values[own])
        _name_once(self._graph)


def _name_once(graph: ir.Graph) -> None:
    """Refuses names that stand for two things: the runtime would, and less clearly."""
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
