"""The weights of one component: step 1 prepares the component and plans its weights, step 2 writes them.

Steps 3 and 4 are in ``component_graphs``. Every step takes what the steps before returned. Steps that an interrupted
export finished are read from the build log.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from engine.bundle.graph_spec import Precision
from engine.bundle.manifest import AdapterSpec
from export.bundle.build_log import BuildLog
from export.bundle.component_weights import ComponentWeights, PlannedWeights, plan_weights
from export.bundle.graph_list import Component
from export.bundle.plan import ExportPlan
from export.bundle.run import ExportRun
from export.errors import ExportError
from export.quantise.attention import AttentionRanges
from export.quantise.calibration import Calibration, calibration_digest, load_calibration
from export.quantise.recipes import Recipe, recipe_for
from export.weights.checkpoint import Checkpoint, files_identity
from export.weights.lora import Adapter, open_adapters, placement_notes


@dataclass(frozen=True)
class PreparedComponent:
    """A component before anything of it is written.

    ``model`` is the component on the meta device, in the type that its graphs compute in; ``identity`` holds what its
    files depend on, for the build log; ``notes`` are lines about adapters and attention that a person should read.
    ``attention`` has the ranges of every self-attention that is computed in FP8. Each graph is compiled as
    ``block_group_count`` plans.
    """

    component: Component
    precision: Precision
    model: Any
    weights: PlannedWeights
    adapters: tuple[AdapterSpec, ...]
    identity: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    attention: Mapping[str, AttentionRanges] = field(default_factory=dict)
    block_group_count: int = 1

    @property
    def suffix(self) -> str:
        """Part of file names that tells precisions apart: empty for float32, else for example ``.int4``."""
        return "" if self.precision == "fp32" else f".{self.precision}"


def prepare_component(plan: ExportPlan, component: Component, log: BuildLog) -> PreparedComponent:
    """Step 1: constructs the component without weights and plans its weights. Raises ``ExportError``."""
    name, checkpoint = component.name, plan.checkpoint
    precision = plan.precision_of(name)
    recipe = None if precision == "fp32" else recipe_for(component.kind, precision)
    shards = checkpoint.shards(name)  # before the model: a missing folder is reported as missing weights
    model = component.build(torch.float32 if recipe is None else recipe.dtype)
    adapters = _open_adapters(plan, name, model)
    ranges = plan.calibration if component.kind == "transformer" else None
    calibration = None if ranges is None else _load_calibration(ranges, name, checkpoint, adapters, log)
    attention, attention_notes = _attention(plan, name, recipe, calibration)
    weights = plan_weights(shards, name, model, plan.out, adapters=adapters, recipe=recipe, calibration=calibration)
    return PreparedComponent(
        component=component,
        precision=precision,
        model=model,
        weights=weights,
        adapters=tuple(
            AdapterSpec(
                stage=component.groups[0].names[0],
                file_name=adapter.file.name,
                sha256=adapter.sha256,
                strength=adapter.strength,
            )
            for adapter in adapters
        ),
        identity={
            "component": checkpoint.identity(name),
            "precision": precision,
            "adapters": [(adapter.digest, adapter.strength) for adapter in adapters],
            "calibration": None if ranges is None else files_identity(ranges),
        },
        notes=(
            *placement_notes(plan.adapters, name, checkpoint.family),
            *(note for adapter in adapters for note in adapter.notes),
            *attention_notes,
        ),
        attention=attention,
    )


def write_weights(run: ExportRun, prepared: PreparedComponent) -> ComponentWeights:
    """Step 2: writes the component's weights into the bundle, gigabytes of them, unless they are referenced in place.

    Raises ``ExportError``.
    """
    planned = prepared.weights

    def work() -> tuple[dict[str, Any], Iterable[Path]]:
        planned.write(run.report)
        return {}, () if planned.encodings is None else (planned.file,)

    inputs = {**prepared.identity, "is_in_place": planned.encodings is None}
    run.log.step(f"weights of {prepared.component.name}{prepared.suffix}", inputs, work)
    return planned.open()


def checkpoint_digest(checkpoint: Checkpoint, log: BuildLog) -> str:
    """The digest of all files of the checkpoint, computed once in an export."""
    inputs = {"files": checkpoint.identity()}
    return str(log.step("checkpoint digest", inputs, lambda: ({"sha256": checkpoint.digest()}, ()))["sha256"])


def _attention(
    plan: ExportPlan, name: str, recipe: Recipe | None, calibration: Calibration | None
) -> tuple[Mapping[str, AttentionRanges], tuple[str, ...]]:
    """Ranges of the self-attentions that are computed in FP8, and a line for a person."""
    offered = None if recipe is None else recipe.attention
    chosen = offered if plan.attention == "auto" else plan.attention
    if calibration is None or offered is None or chosen == "half":
        return {}, ()
    if calibration.attention:
        return calibration.attention, (f"{name}: self-attention in FP8",)
    lacks = f"the calibration of {name} was made before attention was measured"
    if plan.attention == "fp8":
        raise ExportError(
            f"--attention fp8: {lacks}; run `python -m export.quantise.calibrate` again, or take --attention half"
        )
    return {}, (f"{name}: self-attention in half precision, because {lacks}; calibrate again for FP8",)


def _open_adapters(plan: ExportPlan, name: str, model: Any) -> tuple[Adapter, ...]:
    shapes = {parameter: tuple(tensor.shape) for parameter, tensor in model.named_parameters()}
    return open_adapters(plan.adapters.get(name, ()), shapes, component=name)


def _load_calibration(
    folder: Path, name: str, checkpoint: Checkpoint, adapters: Sequence[Adapter], log: BuildLog
) -> Calibration:
    fused = [(adapter.digest, adapter.strength) for adapter in adapters]
    return load_calibration(folder, name, calibration_digest(checkpoint_digest(checkpoint, log), fused))
