"""Chooses the number of groups of blocks that a transformer is compiled as, by the host memory that a build takes."""

from __future__ import annotations

from typing import Any

from export.bundle.build_log import BuildLog
from export.bundle.component import PreparedComponent
from export.bundle.plan import ExportPlan
from export.bundle.resource_estimate import BlockGroups, available_memory_bytes, build_bytes
from export.errors import ExportError
from export.tracing.block_groups import largest_share


def choose_groups(plan: ExportPlan, prepared: PreparedComponent, log: BuildLog) -> BlockGroups:
    """The groups of a component: those of ``--groups``, else as few as fit; one for all but transformers.

    An export that resumes keeps the number of its first run, so that finished plans stay, unless it takes more groups
    now. Raises ``ExportError`` for more groups than the transformer has segments.
    """
    if prepared.component.kind != "transformer" or not plan.targets:
        return BlockGroups()
    whole = prepared.component.groups[0].trace(prepared.model)[0].as_module_graph()
    most = len(whole.segments)
    available = available_memory_bytes()
    weight_bytes = prepared.weights.byte_count

    def fits(count: int) -> bool:
        return available is None or build_bytes(largest_share(whole, count) * weight_bytes) <= available

    least = next(filter(fits, range(1, most + 1)), None)
    if plan.block_group_count is not None:
        if plan.block_group_count > most:
            raise ExportError(
                f"--groups {plan.block_group_count}: {prepared.component.name} can be cut into {most} groups at most; "
                "give fewer"
            )
        return BlockGroups(plan.block_group_count, largest_share(whole, plan.block_group_count), least)

    def work() -> tuple[dict[str, Any], tuple[()]]:
        return {"count": least or most}, ()

    first = log.step(f"groups of {prepared.component.name}{prepared.suffix}", prepared.identity, work)["count"]
    count = max(first, least or most)
    return BlockGroups(count, largest_share(whole, count), least)
