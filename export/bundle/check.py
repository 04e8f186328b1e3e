"""The check that a dry run and an export share: options, tokenizer, weights, words of the scorer, disk and memory.

The check constructs each component once, on the meta device; an export continues with the same components.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from engine.bundle.manifest import LatentSpec
from export.bundle.block_groups import choose_groups
from export.bundle.build_log import BuildLog, export_context
from export.bundle.component import PreparedComponent, prepare_component
from export.bundle.contrast import ContrastWords, load_contrasts
from export.bundle.graph_list import latent_spec, text_encoder_component, transformer_components, vae_component
from export.bundle.option_checks import check_options
from export.bundle.plan import ExportPlan
from export.bundle.resource_estimate import BlockGroups, ComponentEstimate, ResourceEstimate
from export.bundle.scorer_check import check_scorer, read_scorer
from export.weights.layouts.description import describe
from export.weights.tokenizer import check_vocabulary


@dataclass(frozen=True)
class CheckedExport:
    """The outcome of a check: everything that an export knows before it writes.

    ``contrasts`` are the words that the scorer compares with; None without a scorer.
    """

    tokenizer: Any
    components: tuple[PreparedComponent, ...]
    latent: LatentSpec
    contrasts: tuple[ContrastWords, ...] | None
    estimate: ResourceEstimate


def check(
    plan: ExportPlan, log: BuildLog | None = None, report: Callable[[str], None] = lambda _: None
) -> CheckedExport:
    """Checks a plan against its checkpoint and this machine; reports notes on adapters and the estimate line by line.

    Without ``log`` nothing is written, which is a dry run: it reads every weight once. Raises ``ExportError`` where an
    export would.
    """
    check_options(plan)
    checkpoint = plan.checkpoint
    is_dry_run = log is None
    if log is None:
        log = BuildLog(plan.out, export_context(plan.verify), is_dry_run=True)
    tokenizer = checkpoint.tokenizer()
    contrasts = None if plan.scorer is None else load_contrasts(plan.scorer)
    scorer = None if plan.scorer is None else check_scorer(plan.scorer)
    text_encoder = prepare_component(plan, text_encoder_component(checkpoint), log)
    check_vocabulary(tokenizer, text_encoder.model.config.vocab_size)
    vae = prepare_component(plan, vae_component(checkpoint, plan.geometries), log)
    latent = latent_spec(vae.model)
    transformers = [
        prepare_component(plan, component, log)
        for component in transformer_components(checkpoint, plan.geometries, latent)
    ]
    groups = {item.component.name: choose_groups(plan, item, log) for item in transformers}
    transformers = [replace(item, block_group_count=groups[item.component.name].count) for item in transformers]
    components = (text_encoder, vae, *transformers)
    for line in describe(checkpoint):
        report(line)
    report(plan.defaults.described(checkpoint.shift))
    estimate = ResourceEstimate(
        tuple(_estimate(item, groups.get(item.component.name, BlockGroups())) for item in components),
        len(plan.targets),
        plan.is_plans_only,
    )
    for line in (*(note for component in components for note in component.notes), *estimate.lines()):
        report(line)
    estimate.refuse_shortage(plan)
    if is_dry_run:
        for component in components:
            component.weights.read_all(report)
        if scorer is not None:
            read_scorer(scorer, report)
    return CheckedExport(tokenizer, components, latent, contrasts, estimate)


def _estimate(prepared: PreparedComponent, groups: BlockGroups) -> ComponentEstimate:
    return ComponentEstimate(
        prepared.component.name,
        prepared.precision,
        sum(len(group.names) for group in prepared.component.groups),
        prepared.weights.byte_count,
        prepared.weights.written_byte_count,
        groups,
    )
