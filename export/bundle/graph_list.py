"""The graphs of each component of a checkpoint: names, the geometry that each depends on, and how each is traced."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from engine.api.capabilities import Family, Geometry
from engine.bundle.graph_spec import GraphName
from engine.bundle.manifest import LatentSpec
from export.quantise.recipes import ComponentKind
from export.tracing.module_graph import TracedModule
from export.tracing.text_encoder import text_encoder_graph
from export.tracing.transformer import transformer_graph
from export.tracing.vae import decoder_graphs, encoder_graphs, picture_encoder_graph
from export.weights.checkpoint import Checkpoint

# A graph's fixed size: width, height and frame count, width and height in pixels, or none.
GraphSize = Geometry | tuple[int, int] | None


@dataclass(frozen=True)
class GraphGroup:
    """Graphs that are traced together. ``trace`` takes the component, with or without weights."""

    names: tuple[GraphName, ...]
    size: GraphSize
    trace: Callable[[Any], tuple[TracedModule, ...]]

    def file_names(self, suffix: str) -> tuple[str, ...]:
        """File names of the graphs; ``suffix`` tells precisions apart."""
        return tuple(f"{graph_name(name, self.size)}{suffix}.onnx" for name in self.names)


@dataclass(frozen=True)
class Component:
    """A component, by its folder's name. ``build`` constructs it without weights in a given type."""

    name: str
    kind: ComponentKind
    build: Callable[[torch.dtype], Any]
    groups: tuple[GraphGroup, ...]


def text_encoder_component(checkpoint: Checkpoint) -> Component:
    """The text encoder: one graph for all geometries."""
    group = GraphGroup(("text_encoder",), None, lambda model: (text_encoder_graph(model),))
    return Component("text_encoder", "text_encoder", checkpoint.text_encoder, (group,))


def vae_component(checkpoint: Checkpoint, geometries: tuple[Geometry, ...]) -> Component:
    """The VAE: encoder and decoder graphs for each size."""
    sizes = dict.fromkeys((item.width_px, item.height_px) for item in geometries)
    groups = tuple(group for size in sizes for group in _vae_groups(size, checkpoint.expand_timesteps))
    return Component("vae", "vae", checkpoint.vae, groups)


def _vae_groups(size: tuple[int, int], expand_timesteps: bool) -> Iterator[GraphGroup]:
    width_px, height_px = size

    def encoder(vae: Any) -> tuple[TracedModule, ...]:
        graphs = encoder_graphs(vae, height_px, width_px)
        return graphs.init, graphs.step

    def decoder(vae: Any) -> tuple[TracedModule, ...]:
        graphs = decoder_graphs(vae, height_px, width_px)
        return graphs.init, graphs.step

    if expand_timesteps:  # the model is conditioned on one picture
        yield GraphGroup(("vae_encoder_init",), size, lambda vae: (picture_encoder_graph(vae, height_px, width_px),))
    else:
        yield GraphGroup(("vae_encoder_init", "vae_encoder_step"), size, encoder)
    yield GraphGroup(("vae_decoder_init", "vae_decoder_step"), size, decoder)


def transformer_components(
    checkpoint: Checkpoint, geometries: tuple[Geometry, ...], latent: LatentSpec
) -> tuple[Component, ...]:
    """The transformer, or both experts: one graph for each geometry."""
    names: dict[str, GraphName] = (
        {"transformer": "transformer"}
        if checkpoint.family is Family.WAN22_TI2V_5B
        else {"transformer": "transformer_high", "transformer_2": "transformer_low"}
    )

    def group(name: GraphName, geometry: Geometry) -> GraphGroup:
        shape = latent_shape(geometry, latent)
        return GraphGroup(
            (name,), geometry, lambda model: (transformer_graph(model, shape, checkpoint.expand_timesteps),)
        )

    def component(folder: str, name: GraphName) -> Component:
        groups = tuple(group(name, geometry) for geometry in geometries)
        return Component(folder, "transformer", lambda dtype: checkpoint.transformer(folder, dtype), groups)

    return tuple(component(folder, name) for folder, name in names.items())


def latent_spec(vae: Any) -> LatentSpec:
    """The latents' channels and strides, from the configuration of a VAE."""
    return LatentSpec(
        channel_count=vae.config.z_dim,
        spatial_stride=vae.config.scale_factor_spatial,
        temporal_stride=vae.config.scale_factor_temporal,
    )


def latent_shape(geometry: Geometry, latent: LatentSpec) -> tuple[int, int, int]:
    """The latents' shape (T, h, w) for a geometry."""
    return (
        (geometry.frame_count - 1) // latent.temporal_stride + 1,
        geometry.height_px // latent.spatial_stride,
        geometry.width_px // latent.spatial_stride,
    )


def graph_name(name: GraphName, size: GraphSize) -> str:
    """A graph's file name without its ending, for example ``transformer_high_832x480x81``."""
    match size:
        case None:
            return name
        case Geometry(width_px=width, height_px=height, frame_count=frames):
            return f"{name}_{width}x{height}x{frames}"
        case (width, height):
            return f"{name}_{width}x{height}"
