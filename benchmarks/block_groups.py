"""A transformer as several graphs, for hosts that cannot compile it as one."""

from __future__ import annotations

import itertools

from export.tracing.module_graph import ModuleGraph, TracedModule


def split(traced: TracedModule, part_count: int) -> tuple[TracedModule, ...]:
    """Cuts a module graph into parts of about as many segments; values cross between parts as tensors."""
    whole = traced.module
    if not isinstance(whole, ModuleGraph):
        raise TypeError("only a module graph can be cut")
    if part_count == 1:
        return (traced,)
    values = whole.values(*traced.inputs.values())
    bounds = [round(index * len(whole.segments) / part_count) for index in range(part_count + 1)]
    parts = [whole.segments[first:last] for first, last in itertools.pairwise(bounds)]
    axes = {**traced.dynamic_axes, **whole.dynamic_axes}
    made = []
    for index, segments in enumerate(parts):
        given = {name for segment in segments for name in segment.outputs}
        later = {name for part in parts[index + 1 :] for segment in part for name in segment.inputs} | set(
            whole.output_names
        )
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
