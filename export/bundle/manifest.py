"""The manifest of an export: the plan, the checkpoint's configuration, and the contents that were written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.bundle.graph_spec import GraphSpec
from engine.bundle.manifest import (
    AdapterSpec,
    FileSpec,
    GeometrySpec,
    GuidanceSpec,
    Manifest,
    PreviewSpec,
    ScheduleSpec,
)
from engine.bundle.scorer_spec import ScorerSpec, TokenizerSpec
from export.bundle.build_log import BuildLog, library_versions
from export.bundle.check import CheckedExport
from export.bundle.component import checkpoint_digest
from export.bundle.plan import ExportPlan
from export.tracing.text_encoder import TOKEN_COUNT

TOKENIZER_NAME = "tokenizer.json"


@dataclass(frozen=True)
class BundleContents:
    """The graphs and files that an export wrote into the bundle's folder or references there.

    ``is_plans_only``: graphs that were compiled are not there any more.
    """

    graphs: tuple[GraphSpec, ...]
    weight_files: tuple[Path, ...]
    preview: PreviewSpec
    scorer: ScorerSpec | None
    is_plans_only: bool = False

    def file_names(self, out: Path) -> Iterator[str]:
        """Names of the bundle's files, sorted; any other file in the folder is no part of the bundle."""
        graphs = () if self.is_plans_only else self.graphs
        names = {graph.file for graph in graphs} | {TOKENIZER_NAME}
        names |= {file for graph in self.graphs for engine in graph.engines for file in engine.files}
        names |= {file.relative_to(out).as_posix() for file in self.weight_files}
        if self.scorer is not None:
            names |= {self.scorer.tokenizer.file, self.scorer.contrast_file}
        yield from sorted(names)


def build_manifest(plan: ExportPlan, checked: CheckedExport, contents: BundleContents, log: BuildLog) -> Manifest:
    """The manifest. Digests of files and checkpoint are computed here, unless the log has them."""
    checkpoint, defaults = plan.checkpoint, plan.defaults
    files: dict[str, FileSpec] = {name: log.file(name) for name in contents.file_names(plan.out)}
    adapters: tuple[AdapterSpec, ...] = tuple(item for component in checked.components for item in component.adapters)
    return Manifest(
        name=plan.name,
        family=checkpoint.family,
        license=checkpoint.license,
        checkpoint_digest=checkpoint_digest(checkpoint, log),
        exported_with=library_versions(),
        geometries=tuple(
            GeometrySpec(width_px=item.width_px, height_px=item.height_px, frame_count=item.frame_count)
            for item in plan.geometries
        ),
        frame_rate=defaults.frame_rate,
        expand_timesteps=checkpoint.expand_timesteps,
        latent=checked.latent,
        schedule=ScheduleSpec(
            order=checkpoint.solver_order,
            shift=defaults.shift or checkpoint.shift,
            step_count=defaults.step_count,
            train_step_count=checkpoint.settings.train_step_count,
            boundary_timestep=checkpoint.boundary_timestep,
        ),
        guidance=GuidanceSpec(
            scale=defaults.guidance_scale,
            low_noise_scale=defaults.guidance_scale_low_noise,
            negative_prompt=defaults.negative_prompt,
        ),
        tokenizer=TokenizerSpec(
            file=TOKENIZER_NAME,
            length=TOKEN_COUNT,
            pad_id=checked.tokenizer.pad_token_id,
            pad_side="right",
            lower_case=False,
        ),
        preview=contents.preview,
        scorer=contents.scorer,
        graphs=contents.graphs,
        files=files,
        adapters=adapters,
        distilled=plan.distilled,
        notices=plan.notices,
        plans_only=plan.is_plans_only,
    )
