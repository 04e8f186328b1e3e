"""Cuts a module graph into groups of neighbouring segments, for hosts that cannot compile it as one plan."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from torch import nn

from export.tracing.module_graph import ModuleGraph, Segment, TracedModule


def split(traced: TracedModule, group_count: int) -> tuple[TracedModule, ...]:
    """The groups of a module graph, in order; they have about as many parameters each.

    A value that one group computes and a later one reads crosses between them: it is an output of the first and an
    input of the other, both under its name. Raises ``ValueError`` for fewer segments than groups.
    """
    whole = traced.as_module_graph()
    if group_count == 1:
        return (traced,)
    values = whole.values(*traced.inputs.values())
    parts = _parts(whole, group_count)
    axes = {**traced.dynamic_axes, **whole.dynamic_axes}
    made = []
    for index, segments in enumerate(parts):
        given = {name for segment in segments for name in segment.outputs}
        later = {name for part in parts[index + 1 :] for segment in part for name in segment.inputs}
        later |= set(whole.output_names)
        wanted = dict.fromkeys(name for segment in segments for name in segment.inputs if name not in given)
        inputs = [name for name in wanted if name not in whole.constants]
        outputs = [name for segment in segments for name in segment.outputs if name in later]
        constants = {name: whole.constants[name] for name in wanted if name in whole.constants}
        made.append(
            TracedModule(
                ModuleGraph(segments, inputs, outputs, constants, whole.dynamic_axes),
                {name: values[name] for name in inputs},
                tuple(outputs),
                dynamic_axes={name: axes[name] for name in inputs if name in axes},
            )
        )
    return tuple(made)


def largest_share(whole: ModuleGraph, group_count: int) -> float:
    """The share of the parameters, 0..1, that the largest group has."""
    sizes = [sum(map(_parameter_count, part)) for part in _parts(whole, group_count)]
    return max(sizes) / max(sum(sizes), 1)


def _parts(whole: ModuleGraph, group_count: int) -> list[Sequence[Segment]]:
    """Cuts where the number of parameters before the cut is nearest to the even share."""
    if not 1 <= group_count <= len(whole.segments):
        raise ValueError(f"{len(whole.segments)} segments cannot be cut into {group_count} groups")
    before = [0, *itertools.accumulate(map(_parameter_count, whole.segments))]
    bounds = [0]
    for index in range(1, group_count):
        even = before[-1] * index / group_count
        candidates = range(bounds[-1] + 1, len(whole.segments) - (group_count - index) + 1)
        bounds.append(min(candidates, key=lambda place: abs(before[place] - even)))
    bounds.append(len(whole.segments))
    return [whole.segments[first:last] for first, last in itertools.pairwise(bounds)]


def _parameter_count(segment: Segment) -> int:
    module: nn.Module = segment.module
    return sum(parameter.numel() for parameter in module.parameters())
