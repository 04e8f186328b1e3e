"""The memory that a job needs, by graph and by stage of the job.

Three kinds of bytes. *Weights* stay as long as a graph is loaded. *Scratch* is the working memory of a call; all graphs
share it, because a GPU runs them one after another. *Buffers* are the tensors that the pipeline binds: latents and
solver history, the VAE's two banks of caches, prompt embeddings. The scorer is called at any time, also from other
threads, so its graphs and buffers are *standing*: in memory in every stage.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from engine.api.capabilities import Geometry
from engine.api.events import Expert, Stage
from engine.bundle.graph_spec import GraphName, Precision


@dataclass(frozen=True, slots=True)
class Amount:
    """Bytes by what they grow with: nothing, the picture's area, or the number of latent cells of the clip."""

    fixed: int = 0
    by_area: int = 0
    by_volume: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.fixed + other.fixed, self.by_area + other.by_area, self.by_volume + other.by_volume)

    @property
    def byte_count(self) -> int:
        """The sum."""
        return self.fixed + self.by_area + self.by_volume

    def scaled(self, area_ratio: float, volume_ratio: float) -> Amount:
        """The amount at another size and length."""
        return Amount(self.fixed, math.ceil(self.by_area * area_ratio), math.ceil(self.by_volume * volume_ratio))


@dataclass(frozen=True, slots=True)
class GraphDemand:
    """A graph: the stores that hold its weights, and the scratch of one call."""

    precision: Precision
    stores: tuple[str, ...]
    scratch: Amount


@dataclass(frozen=True, slots=True)
class StageDemand:
    """A stage of a job, denoising split by expert: the graphs that run in the stage, and the buffers that it binds."""

    stage: Stage
    expert: Expert | None
    runs: tuple[GraphName, ...]
    buffers: Amount


@dataclass(frozen=True, slots=True)
class JobDemand:
    """The memory that a job of one geometry needs.

    ``weight_bytes`` is by store: a store that several graphs share is in memory once. ``stages`` are in order, without
    the match, whose graphs are ``standing``. ``temporal_stride`` is frames per latent frame.
    """

    geometry: Geometry
    temporal_stride: int
    graphs: Mapping[GraphName, GraphDemand]
    weight_bytes: Mapping[str, int]
    stages: tuple[StageDemand, ...]
    standing: tuple[GraphName, ...]
    standing_buffers: Amount

    def weights_of(self, graphs: Iterable[GraphName]) -> int:
        """Bytes of weights of several graphs together."""
        return sum(self.weight_bytes[store] for store in {key for item in graphs for key in self.graphs[item].stores})

    def scratch_of(self, graphs: Iterable[GraphName]) -> int:
        """Bytes of scratch of graphs that run one after another."""
        return max((self.graphs[item].scratch.byte_count for item in graphs), default=0)

    def at(self, geometry: Geometry) -> JobDemand:
        """An estimate of the demand at another geometry.

        The compiler's fused attention keeps no matrix of scores, so a transformer's scratch grows with its tokens.
        Whatever grows faster makes the estimate too high for a smaller clip, never too low.
        """
        area = geometry.width_px * geometry.height_px / (self.geometry.width_px * self.geometry.height_px)
        volume = area * self._latent_length(geometry) / self._latent_length(self.geometry)
        graphs = {name: replace(item, scratch=item.scratch.scaled(area, volume)) for name, item in self.graphs.items()}
        stages = tuple(replace(item, buffers=item.buffers.scaled(area, volume)) for item in self.stages)
        return replace(self, geometry=geometry, graphs=graphs, stages=stages)

    def with_precision(self, precisions: Mapping[GraphName, tuple[Precision, float]]) -> JobDemand:
        """The demand with some graphs in another precision, each with the ratio of new to present weight bytes, 0..1.

        Scratch stays the same: activations are half precision beside every kind of weights.
        """
        graphs, weight_bytes = dict(self.graphs), dict(self.weight_bytes)
        for name, (precision, ratio) in precisions.items():
            weight_bytes |= {store: math.ceil(self.weight_bytes[store] * ratio) for store in graphs[name].stores}
            graphs[name] = replace(graphs[name], precision=precision)
        return replace(self, graphs=graphs, weight_bytes=weight_bytes)

    def _latent_length(self, geometry: Geometry) -> int:
        return (geometry.frame_count - 1) // self.temporal_stride + 1
