"""``bundle.json``: every field that it may hold. Reads no file.

The exporter writes the manifest and the engine reads it; the engine never reads a checkpoint's own configuration. A
field that was added later has a default, so that older bundles stay readable.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from engine.api.capabilities import Family, Geometry
from engine.api.errors import BundleInvalid
from engine.bundle.graph_spec import GraphName, GraphSpec
from engine.bundle.manifest_part import ManifestPart
from engine.bundle.scorer_spec import ScorerSpec, TokenizerSpec

FORMAT_VERSION: Literal[1] = 1


class FileSpec(ManifestPart, frozen=True, kw_only=True):
    """A file of the bundle, by its path from the bundle's folder."""

    sha256: str
    byte_count: int


class GeometrySpec(ManifestPart, frozen=True, kw_only=True):
    """A compiled size and length."""

    width_px: int
    height_px: int
    frame_count: int


class LatentSpec(ManifestPart, frozen=True, kw_only=True):
    """Shape of latents: channels, and pixels or frames per latent cell."""

    channel_count: int
    spatial_stride: int
    temporal_stride: int


class ScheduleSpec(ManifestPart, frozen=True, kw_only=True):
    """Solver and noise schedule. ``boundary_timestep`` is None for a model with one transformer."""

    solver: Literal["unipc"] = "unipc"
    order: Annotated[int, Meta(ge=1, le=3)]
    shift: float
    step_count: int
    train_step_count: int
    boundary_timestep: float | None


class GuidanceSpec(ManifestPart, frozen=True, kw_only=True):
    """Guidance defaults. ``low_noise_scale`` is None for a model with one transformer."""

    scale: float
    low_noise_scale: float | None
    negative_prompt: str


class AdapterSpec(ManifestPart, frozen=True, kw_only=True):
    """A LoRA file that was fused into the weights of the graph ``stage`` before they were quantised."""

    stage: GraphName
    file_name: str
    sha256: str
    strength: float


class DistilledSpec(ManifestPart, frozen=True, kw_only=True):
    """Settings that a few-step checkpoint was distilled for. Other steps, shift or guidance give poor clips.

    Such a model runs without guidance, so its scale is 1: one prediction per step.
    """

    step_count: Annotated[int, Meta(ge=1)]
    shift: float
    guidance_scale: Literal[1] = 1


class PreviewSpec(ManifestPart, frozen=True, kw_only=True):
    """Least-squares projection of one latent cell to RGB in 0..1: ``matrix`` [channels][3] and ``bias`` [3].

    ``r_squared`` is the share of variance that the projection explains on held-out pictures.
    """

    matrix: tuple[tuple[float, float, float], ...]
    bias: tuple[float, float, float]
    r_squared: float


class Manifest(ManifestPart, frozen=True, kw_only=True):
    """The content of ``bundle.json``.

    ``plans_only``: graphs that were compiled are left out with their weights. Their ``file`` names them still, and
    ``files`` does not hold it.
    """

    format_version: Literal[1] = FORMAT_VERSION
    name: str
    family: Family
    license: str
    checkpoint_digest: str
    exported_with: dict[str, str]
    geometries: Annotated[tuple[GeometrySpec, ...], Meta(min_length=1)]
    frame_rate: float
    expand_timesteps: bool
    latent: LatentSpec
    schedule: ScheduleSpec
    guidance: GuidanceSpec
    tokenizer: TokenizerSpec
    preview: PreviewSpec
    scorer: ScorerSpec | None
    graphs: tuple[GraphSpec, ...]
    files: dict[str, FileSpec]
    adapters: tuple[AdapterSpec, ...] = ()
    distilled: DistilledSpec | None = None
    notices: tuple[str, ...] = ()
    plans_only: bool = False

    def holds_graph(self, graph: GraphSpec) -> bool:
        """False for a graph of which the bundle holds the compiled plans alone."""
        return not (self.plans_only and graph.engines)

    def graph(self, name: GraphName, geometry: Geometry) -> GraphSpec:
        """The graph of a name for a geometry. Raises ``BundleInvalid`` if the bundle lacks it."""
        for spec in self.graphs:
            if spec.stage == name and spec.serves(geometry):
                return spec
        size = f"{geometry.width_px}x{geometry.height_px}, {geometry.frame_count} frames"
        raise BundleInvalid(f"the bundle lists {size} but holds no {name} graph for it; export it again")
