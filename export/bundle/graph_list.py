"""Which graphs an export consists of, component by component. Knows families and sizes; traces and writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from engine.api.capabilities import Family, Geometry
from engine.bundle.graph_spec import GraphName
from engine.bundle.manifest import LatentSpec
from export.quantise.recipes import ComponentKind
from export.tracing.assemble import TracedModule
from export.tracing.text_encoder import text_encoder_graph
from export.tracing.transformer import transformer_graph
from export.tracing.vae import decoder_graphs, encoder_graphs, picture_encoder_graph
from export.weights.checkpoint import Checkpoint

Place = Geometry | tuple[int, int] | None  # what a graph depends on: size and length, the size, or neither


@dataclass(frozen=True)
class StageGroup:
    """Graphs that are traced together, and how: ``trace`` takes the component, with or without weights."""

    names: tuple[GraphName, ...]
    place: Place
    trace: Callable[[Any], tuple[TracedModule, ...]]

    def file_names(self, suffix: str) -> tuple[str, ...]:
        """Files of the graphs; ``suffix`` tells apart those of other precisions."""
        return tuple(f"{graph_name(name, self.place)}{suffix}.onnx" for name in self.names)


@dataclass(frozen=True)
class ComponentStages:
    """A component by the name of its folder, how it is built without weights, and its graphs."""

    name: str
    kind: ComponentKind
    build: Callable[[torch.dtype], Any]
    groups: tuple[StageGroup, ...]


def component_stages(checkpoint: Checkpoint, geometries: tuple[Geometry, ...]) -> Iterator[ComponentStages]:
    """Every component that becomes graphs, in the order in which a clip needs them."""
    yield text_stages(checkpoint)
    yield vae_stages(checkpoint, geometries)
    yield from transformer_stages(checkpoint, geometries, latent_spec(checkpoint.vae()))


def text_stages(checkpoint: Checkpoint) -> ComponentStages:
    """The text encoder: one graph for every size."""
    group = StageGroup(("text_encoder",), None, lambda model: (text_encoder_graph(model),))
    return ComponentStages("text_encoder", "text_encoder", checkpoint.text_encoder, (group,))


def vae_stages(checkpoint: Checkpoint, geometries: tuple[Geometry, ...]) -> ComponentStages:
    """Encoder and decoder of each size."""
    sizes = dict.fromkeys((item.width_px, item.height_px) for item in geometries)
    groups = tuple(group for size in sizes for group in _vae_groups(size, checkpoint.expand_timesteps))
    return ComponentStages("vae", "vae", checkpoint.vae, groups)


def _vae_groups(size: tuple[int, int], expand_timesteps: bool) -> Iterator[StageGroup]:
    width_px, height_px = size

    def encoder(vae: Any) -> tuple[TracedModule, ...]:
        graphs = encoder_graphs(vae, height_px, width_px)
        return graphs.init, graphs.step

    def decoder(vae: Any) -> tuple[TracedModule, ...]:
        graphs = decoder_graphs(vae, height_px, width_px)
        return graphs.init, graphs.step

    if expand_timesteps:  # the condition is one picture
        yield StageGroup(("vae_encoder_init",), size, lambda vae: (picture_encoder_graph(vae, height_px, width_px),))
    else:
        yield StageGroup(("vae_encoder_init", "vae_encoder_step"), size, encoder)
    yield StageGroup(("vae_decoder_init", "vae_decoder_step"), size, decoder)


def transformer_stages(
    checkpoint: Checkpoint, geometries: tuple[Geometry, ...], latent: LatentSpec
) -> tuple[ComponentStages, ...]:
    """The transformer, or both experts, for each size and length."""
    components: dict[str, GraphName] = (
        {"transformer": "transformer"}
        if checkpoint.family is Family.WAN22_TI2V_5B
        else {"transformer": "transformer_high", "transformer_2": "transformer_low"}
    )

    def group(stage: GraphName, geometry: Geometry) -> StageGroup:
        shape = latent_shape(geometry, latent)
        return StageGroup(
            (stage,), geometry, lambda model: (transformer_graph(model, shape, checkpoint.expand_timesteps),)
        )

    def stages(component: str, stage: GraphName) -> ComponentStages:
        groups = tuple(group(stage, geometry) for geometry in geometries)
        return ComponentStages(component, "transformer", lambda dtype: checkpoint.transformer(component, dtype), groups)

    return tuple(stages(component, stage) for component, stage in components.items())


def latent_spec(vae: Any) -> LatentSpec:
    """Shape of the latents that a VAE's configuration makes."""
    return LatentSpec(
        channel_count=vae.config.z_dim,
        spatial_stride=vae.config.scale_factor_spatial,
        temporal_stride=vae.config.scale_factor_temporal,
    )


def latent_shape(geometry: Geometry, latent: LatentSpec) -> tuple[int, int, int]:
    """(T, h, w) of a geometry's latents."""
    return (
        (geometry.frame_count - 1) // latent.temporal_stride + 1,
        geometry.height_px // latent.spatial_stride,
        geometry.width_px // latent.spatial_stride,
    )


def graph_name(stage: GraphName, place: Place) -> str:
    """A graph's file name without its ending, for example ``transformer_high_832x480x81``."""
    match place:
        case None:
            return stage
        case Geometry(width_px=width, height_px=height, frame_count=frames):
            return f"{stage}_{width}x{height}x{frames}"
        case (width, height):
            return f"{stage}_{width}x{height}"
