"""What every clip of a bundle is made with."""

from __future__ import annotations

from dataclasses import dataclass

from engine.bundle.manifest import Manifest
from engine.generate.picture_encoder import PictureEncoder
from engine.generate.prompt_encoder import PromptEncoder
from engine.generate.segment_join import SegmentJoin
from engine.matching.enrichment import EnrichmentContext
from engine.matching.scorer import Scorer
from engine.memory.graphs import BundleGraphs


@dataclass(frozen=True, slots=True)
class ModelParts:
    """Graphs, encoders and scorer of a bundle. ``scorer`` None: no pair is scored."""

    manifest: Manifest
    graphs: BundleGraphs
    scorer: Scorer | None
    context: EnrichmentContext
    prompts: PromptEncoder
    pictures: PictureEncoder
    join: SegmentJoin
