"""Splits a traced transformer into several graphs, for hosts that cannot compile it as one."""

from __future__ import annotations

import itertools

from export.tracing.assemble import TracedModule
from export.tracing.module_graph import Chain


def split(traced: TracedModule, part_count: int) -> tuple[TracedModule, ...]:
    """Splits a chain of modules into parts of about equally many. Values passed between parts become tensors.

    Raises ``TypeError`` for a module that is no chain.
    """
    chain = traced.module
    if not isinstance(chain, Chain):
        raise TypeError("only a chain of modules can be split into parts")
    if part_count == 1:
        return (traced,)
    values = chain.values(*traced.inputs.values())
    bounds = [round(index * len(chain.links) / part_count) for index in range(part_count + 1)]
    parts = [chain.links[first:last] for first, last in itertools.pairwise(bounds)]
    axes = {**traced.dynamic_axes, **chain.dynamic_axes}
    made = []
    for index, links in enumerate(parts):
        given = {name for link in links for name in link.outputs}
        later = {name for part in parts[index + 1 :] for link in part for name in link.inputs} | set(chain.output_names)
        wanted = dict.fromkeys(name for link in links for name in link.inputs if name not in given)
        inputs = [name for name in wanted if name not in chain.constants]
        outputs = [name for link in links for name in link.outputs if name in later]
        constants = {name: chain.constants[name] for name in wanted if name in chain.constants}
        made.append(
            TracedModule(
                Chain(links, inputs, outputs, constants, chain.dynamic_axes),
                {name: values[name] for name in inputs},
                tuple(outputs),
                dynamic_axes={name: axes[name] for name in inputs if name in axes},
            )
        )
    return tuple(made)
