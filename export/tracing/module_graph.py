"""A model as links that hand named values on. Knows torch modules; knows no ONNX and no particular model.

A stack of forty equal blocks needs to be traced once: links of one pattern compute the same and differ in their weights
alone. So the time that tracing takes does not grow with the depth of a model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Link:
    """One module of a chain and the names of the values that it takes and gives, in the order of its forward.

    Links of one ``pattern`` have modules of one structure, and inputs of one shape and precision.
    """

    module: nn.Module
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    pattern: str


class Chain(nn.Module):
    """Runs its links one after another over a table of named values.

    ``constants`` are values that no input and no weight gives, such as rotary tables. They hold real numbers also where
    the weights are on the meta device, because the graph file keeps them. ``dynamic_axes`` are the leading axes of
    values inside the chain that may have other lengths at run time.
    """

    def __init__(
        self,
        links: Sequence[Link],
        input_names: Sequence[str],
        output_names: Sequence[str],
        constants: Mapping[str, Tensor] | None = None,
        dynamic_axes: Mapping[str, tuple[torch.export.Dim, ...]] | None = None,
    ) -> None:
        super().__init__()
        self.links = tuple(links)
        self.input_names, self.output_names = tuple(input_names), tuple(output_names)
        self.constants = dict(constants or {})
        self.dynamic_axes = dict(dynamic_axes or {})
        self.modules_of_links = nn.ModuleList(link.module for link in self.links)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The outputs by ``output_names`` for the inputs by ``input_names``."""
        values = self.values(*inputs)
        return tuple(values[name] for name in self.output_names)

    def values(self, *inputs: Tensor) -> dict[str, Tensor]:
        """Every value by its name: inputs, constants and what the links give."""
        values = dict(zip(self.input_names, inputs, strict=True))
        values |= {name: constant.to(inputs[0].device) for name, constant in self.constants.items()}
        for link in self.links:
            given = link.module(*(values[name] for name in link.inputs))
            values |= zip(link.outputs, (given,) if isinstance(given, Tensor) else given, strict=True)
        return values
