"""The input of tracing: a module with example inputs, or a model as a graph of segments that exchange named values.

Segments of one pattern compute the same and differ in their weights alone, so a stack of forty equal blocks is traced
once and the time of tracing does not grow with the depth of a model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

DynamicAxes = tuple[torch.export.Dim, ...]


@dataclass(frozen=True)
class Segment:
    """One module of a module graph and the names of its inputs and outputs, in the order of its forward.

    Segments of one ``pattern`` have modules of one structure, and inputs of one shape and precision.
    """

    module: nn.Module
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    pattern: str


class ModuleGraph(nn.Module):
    """Runs its segments in order over a table of named values.

    ``constants`` are values that no input and no weight gives, such as rotary tables. They are real tensors even where
    the weights are on the meta device, because the graph file holds them. ``dynamic_axes`` are the leading axes of
    values between segments that may have other lengths at run time.
    """

    def __init__(
        self,
        segments: Sequence[Segment],
        input_names: Sequence[str],
        output_names: Sequence[str],
        constants: Mapping[str, Tensor] | None = None,
        dynamic_axes: Mapping[str, DynamicAxes] | None = None,
    ) -> None:
        super().__init__()
        self.segments = tuple(segments)
        self.input_names, self.output_names = tuple(input_names), tuple(output_names)
        self.constants = dict(constants or {})
        self.dynamic_axes = dict(dynamic_axes or {})
        self.segment_modules = nn.ModuleList(segment.module for segment in self.segments)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Computes the outputs, by ``output_names``, for inputs by ``input_names``."""
        values = self.values(*inputs)
        return tuple(values[name] for name in self.output_names)

    def values(self, *inputs: Tensor) -> dict[str, Tensor]:
        """Computes every named value: inputs, constants and the outputs of all segments."""
        values = dict(zip(self.input_names, inputs, strict=True))
        values |= {name: constant.to(inputs[0].device) for name, constant in self.constants.items()}
        for segment in self.segments:
            given = segment.module(*(values[name] for name in segment.inputs))
            values |= zip(segment.outputs, (given,) if isinstance(given, Tensor) else given, strict=True)
        return values


@dataclass(frozen=True)
class TracedModule:
    """A module to trace, one example of each input, and the names of the outputs, both in the module's order.

    The module may be a ``ModuleGraph``. Module and inputs are on the meta device where nothing is computed.
    ``dynamic_axes`` are the leading axes of an input that may have other lengths at run time. Where the module
    rewrites a library's forward, ``library`` computes the same outputs with the library's own forward.
    """

    module: nn.Module
    inputs: Mapping[str, Tensor]
    output_names: tuple[str, ...]
    dynamic_axes: Mapping[str, DynamicAxes] = field(default_factory=dict)
    library: Callable[..., Tensor] | None = None

    def as_module_graph(self) -> ModuleGraph:
        """The module, or a module graph of one segment where the module is something else."""
        if isinstance(self.module, ModuleGraph):
            return self.module
        names = tuple(self.inputs)
        return ModuleGraph([Segment(self.module, names, self.output_names, "")], names, self.output_names)

    def reference(self) -> tuple[Tensor, ...]:
        """The outputs that torch computes for the example inputs."""
        with torch.no_grad():
            outputs = (self.library or self.module)(*self.inputs.values())
        return (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)
