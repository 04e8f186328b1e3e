"""From a checkpoint to a bundle, stage by stage. The order of an export, on one screen.

Graphs and weights are written first, each atomically; ``bundle.json`` comes last. A folder without it is no bundle,
so an export that was interrupted can never be served.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
from torch import nn

from engine.bundle import (
    MANIFEST_NAME,
    FileSpec,
    GeometrySpec,
    GraphSpec,
    GuidanceSpec,
    LatentSpec,
    Manifest,
    PreviewSpec,
    ScheduleSpec,
    ScorerSpec,
    StageName,
    TokenizerSpec,
    file_sha256,
)
from engine.schedule import flow_schedule
from engine.types import Family, Geometry
from export.graph import TracedModule, export_graph
from export.guidance import write_guide_and_step
from export.plan import ExportPlan, check_plan
from export.preview import fit_preview
from export.scoring import export_scorer
from export.text_encoder import TOKEN_COUNT, text_encoder_graph
from export.transformer import transformer_graph
from export.vae import decoder_graphs, encoder_graphs, picture_encoder_graph
from export.verify import Verified, verify_against, verify_against_torch
from export.weights import ComponentWeights, store_weights

_LIBRARIES = ("torch", "diffusers", "transformers", "onnx", "onnxscript", "onnxruntime")


class Export:
    """One export. ``report`` is told what happens, a line at a time."""

    def __init__(self, plan: ExportPlan, report: Callable[[str], None]) -> None:
        self._plan = plan
        self._report = report
        self._graphs: list[GraphSpec] = []
        self._weight_files: list[Path] = []

    def run(self) -> Manifest:
        """Exports everything. Raises ``ExportError``; the manifest is written only when all is well."""
        plan = self._plan
        check_plan(plan)
        plan.out.mkdir(parents=True, exist_ok=True)
        (plan.out / MANIFEST_NAME).unlink(missing_ok=True)
        tokenizer = self._export_text()
        latent, preview = self._export_vae()
        self._export_transformers(latent)
        scorer = None
        if plan.scorer is not None:
            scorer = export_scorer(plan.scorer, plan.out, self._weights, self._add)
        manifest = self._manifest(tokenizer, latent, preview, scorer)
        partial = plan.out / f"{MANIFEST_NAME}.partial"
        partial.write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")
        partial.replace(plan.out / MANIFEST_NAME)
        return manifest

    def _export_text(self) -> TokenizerSpec:
        tokenizer, model = self._plan.checkpoint.tokenizer(), self._plan.checkpoint.text_encoder()
        tokenizer.backend_tokenizer.save(str(self._plan.out / "tokenizer.json"))
        self._add("text_encoder", None, text_encoder_graph(model), self._weights(model, "text_encoder"))
        return TokenizerSpec(
            file="tokenizer.json",
            length=TOKEN_COUNT,
            pad_id=tokenizer.pad_token_id,
            pad_side="right",
            lower_case=False,
        )

    def _export_vae(self) -> tuple[LatentSpec, PreviewSpec]:
        vae = self._plan.checkpoint.vae()
        weights = self._weights(vae, "vae")
        for size in dict.fromkeys((item.width_px, item.height_px) for item in self._plan.geometries):
            width_px, height_px = size
            if self._plan.checkpoint.expand_timesteps:  # the condition is one picture
                self._add("vae_encoder_init", size, picture_encoder_graph(vae, height_px, width_px), weights)
            else:
                encoder = encoder_graphs(vae, height_px, width_px)
                self._add("vae_encoder_init", size, encoder.init, weights)
                self._add("vae_encoder_step", size, encoder.step, weights)
            decoder = decoder_graphs(vae, height_px, width_px)
            self._add("vae_decoder_init", size, decoder.init, weights)
            self._add("vae_decoder_step", size, decoder.step, weights)
        latent = LatentSpec(
            channel_count=vae.config.z_dim,
            spatial_stride=vae.config.scale_factor_spatial,
            temporal_stride=vae.config.scale_factor_temporal,
        )
        preview = fit_preview(vae)
        self._report(f"preview projection: R² {preview.r_squared:.3f}")
        return latent, preview

    def _export_transformers(self, latent: LatentSpec) -> None:
        components: dict[str, StageName] = (
            {"transformer": "transformer"}
            if self._plan.checkpoint.family is Family.WAN22_TI2V_5B
            else {"transformer": "transformer_high", "transformer_2": "transformer_low"}
        )
        for component, stage in components.items():
            model = self._plan.checkpoint.transformer(component)
            weights = self._weights(model, component)
            for geometry in self._plan.geometries:
                shape = _latent_shape(geometry, latent)
                traced = transformer_graph(model, shape, self._plan.checkpoint.expand_timesteps)
                self._add(stage, geometry, traced, weights)
        for geometry in self._plan.geometries:
            self._add_guidance(geometry, latent)

    def _add_guidance(self, geometry: Geometry, latent: LatentSpec) -> None:
        order = self._plan.checkpoint.scheduler.get("solver_order", 2)
        shape = (1, latent.channel_count, *_latent_shape(geometry, latent))
        file = self._plan.out / _file_name("guide_and_step", geometry)
        write_guide_and_step(shape, order, file)
        generator = np.random.default_rng(0)
        names = ["latents", "last_sample", *(f"x0_{back}" for back in range(1, order + 1))]
        inputs = {name: generator.standard_normal(shape, dtype=np.float32) for name in names}
        inputs["prediction"] = generator.standard_normal((2, *shape[1:]), dtype=np.float32)
        matrix = flow_schedule(8, 5.0, order).step_matrix(4, guidance_scale=3.5)
        rows = np.concatenate([item.reshape(len(item), -1) for item in inputs.values()])
        results = (matrix @ rows).reshape(3, *shape)
        expected = dict(zip(("next_latents", "sample", "x0"), results, strict=True))
        self._record("guide_and_step", geometry, file, verify_against(file, {**inputs, "matrix": matrix}, expected))

    def _weights(self, component: nn.Module, name: str) -> ComponentWeights:
        """A checkpoint that lies inside the bundle is pointed at; any other is copied as float32."""
        plan = self._plan
        folder = (plan.scorer if name == "scorer" else None) or plan.checkpoint.folder / name
        if folder.resolve().is_relative_to(plan.out.resolve()):
            files = [plan.out / file.resolve().relative_to(plan.out.resolve()) for file in folder.glob("*.safetensors")]
            weights = ComponentWeights(component, sorted(files))
        else:
            weights = store_weights(component, plan.out / "weights" / f"{name}.safetensors")
        self._weight_files += weights.files
        return weights

    def _add(
        self,
        stage: StageName,
        geometry: Geometry | tuple[int, int] | None,
        traced: TracedModule,
        weights: ComponentWeights,
    ) -> None:
        file = self._plan.out / _file_name(stage, geometry)
        export_graph(traced, weights, file)
        self._record(stage, geometry, file, verify_against_torch(file, traced))

    def _record(
        self, stage: StageName, geometry: Geometry | tuple[int, int] | None, file: Path, verified: Verified
    ) -> None:
        size = (geometry.width_px, geometry.height_px) if isinstance(geometry, Geometry) else geometry or (None, None)
        self._graphs.append(
            GraphSpec(
                stage=stage,
                file=file.name,
                width_px=size[0],
                height_px=size[1],
                frame_count=geometry.frame_count if isinstance(geometry, Geometry) else None,
                inputs=verified.inputs,
                outputs=verified.outputs,
                max_abs_error=verified.max_abs_error,
                max_abs_value=verified.max_abs_value,
            )
        )
        self._report(f"{file.name}: differs from torch by {verified.max_abs_error:.1e}")

    def _manifest(
        self, tokenizer: TokenizerSpec, latent: LatentSpec, preview: PreviewSpec, scorer: ScorerSpec | None
    ) -> Manifest:
        plan, checkpoint, defaults = self._plan, self._plan.checkpoint, self._plan.defaults
        return Manifest(
            name=plan.name,
            family=checkpoint.family,
            license=checkpoint.license,
            checkpoint_digest=checkpoint.digest(),
            exported_with={library: version(library) for library in _LIBRARIES},
            geometries=tuple(
                GeometrySpec(width_px=item.width_px, height_px=item.height_px, frame_count=item.frame_count)
                for item in plan.geometries
            ),
            frame_rate=defaults.frame_rate,
            expand_timesteps=checkpoint.expand_timesteps,
            latent=latent,
            schedule=ScheduleSpec(
                order=checkpoint.scheduler.get("solver_order", 2),
                shift=defaults.shift or float(checkpoint.scheduler.get("flow_shift", 1.0)),
                step_count=defaults.step_count,
                train_step_count=int(checkpoint.scheduler["num_train_timesteps"]),
                boundary_timestep=checkpoint.boundary_timestep,
            ),
            guidance=GuidanceSpec(
                scale=defaults.guidance_scale,
                low_noise_scale=defaults.guidance_scale_low_noise,
                negative_prompt=defaults.negative_prompt,
            ),
            tokenizer=tokenizer,
            preview=preview,
            scorer=scorer,
            graphs=tuple(self._graphs),
            files=dict(self._files(tokenizer, scorer)),
            notices=plan.notices,
        )

    def _files(self, tokenizer: TokenizerSpec, scorer: ScorerSpec | None) -> Iterator[tuple[str, FileSpec]]:
        """What this export wrote or points at; anything else in the folder is no part of the bundle."""
        names = {graph.file for graph in self._graphs} | {tokenizer.file}
        names |= {file.relative_to(self._plan.out).as_posix() for file in self._weight_files}
        if scorer is not None:
            names |= {scorer.tokenizer.file, scorer.contrast_file}
        for name in sorted(names):
            path = self._plan.out / name
            yield name, FileSpec(sha256=file_sha256(path), byte_count=path.stat().st_size)


def _latent_shape(geometry: Geometry, latent: LatentSpec) -> tuple[int, int, int]:
    return (
        (geometry.frame_count - 1) // latent.temporal_stride + 1,
        geometry.height_px // latent.spatial_stride,
        geometry.width_px // latent.spatial_stride,
    )


def _file_name(stage: StageName, geometry: Geometry | tuple[int, int] | None) -> str:
    match geometry:
        case None:
            return f"{stage}.onnx"
        case Geometry(width_px=width, height_px=height, frame_count=frames):
            return f"{stage}_{width}x{height}x{frames}.onnx"
        case (width, height):
            return f"{stage}_{width}x{height}.onnx"
