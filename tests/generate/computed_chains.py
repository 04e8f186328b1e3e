"""Chains whose noise, seams and review are computed by hand, on graphs that are Python functions."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from engine.api.cancellation import CancelFlag
from engine.api.chain import ChainDrift, Seam, SegmentEnd
from engine.api.events import Event, FrameReady, JobDone
from engine.api.job import PreparedJob, Settings
from engine.generate.causal_vae_stream import CausalVaeStream
from engine.generate.image_conditioning import frames_as_latents
from engine.matching.chain_review import ChainReview
from tests.chained_jobs import chain_of
from tests.generate.computed import ComputedRuntime, accumulating_graphs, execution_on
from tests.generate.computed_clips import (
    LATENT,
    LATENTS,
    Clips,
    job,
    of_kind,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from engine.api.media import Pixels
    from engine.runtime.base import Array

PROMPTS = ("a fox runs", "the fox sits down", "it sleeps")
DRIFT = ChainDrift(0.5, 0.25)
DENOISING = ["transformer_high", "guide_and_step"] * 2 + ["transformer_low", "guide_and_step"] * 2
GIVEN_ENCODER = ["vae_encoder_init", "vae_encoder_step"]


class Chains(Clips):
    """Clips whose noise is drawn by the seed of each segment; seams and the review of a chain are recorded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **of_clips: Any) -> None:
        super().__init__(monkeypatch, **of_clips)
        if self.scorer is not None:
            self.manifest.scorer = SimpleNamespace(diagnosis="the thresholds")
        self.reviewed: list[tuple[Any, ...]] = []
        monkeypatch.setattr("engine.generate.chain_run.segment_end", _end)
        monkeypatch.setattr("engine.generate.chain_run.seam_of", _seam)
        monkeypatch.setattr("engine.generate.chain_summary.review_chain", self._review_chain)

    def _review_chain(self, *given: Any) -> ChainReview:
        self.reviewed.append(given)
        diagnosis: Any = "the chain's diagnosis"
        return ChainReview(DRIFT, diagnosis)

    def start(self, asked: PreparedJob, cancel: CancelFlag | None = None) -> Iterator[Event]:
        self.execution = execution_on(self.runtime, cancel)
        return self.pipeline.generate(asked, noise_of, self.execution)


def noise_of(settings: Settings) -> Array:
    return np.random.default_rng(settings.seed).standard_normal(LATENTS, dtype=np.float32)


def _end(watch: Any, frames: Sequence[Pixels], vectors: Any) -> SegmentEnd:
    assert vectors is None
    return SegmentEnd(tuple(frames), motion_jumps=(float(len(watch.frames)),))


def _seam(end_before: SegmentEnd, watch_after: Any, frame_index: int) -> Seam:
    """Tells what it was made of: frames before, frames after."""
    return Seam(frame_index, len(end_before.frames), len(watch_after.frames), 0.0, 0.0)


def chain(count: int = 3, given_frame_count: int = 5, last: int | None = None, **fields: Any) -> PreparedJob:
    """9 frames and 4 further ones a segment, at 16x8."""
    return chain_of(job(**fields), PROMPTS[:count], given_frame_count, last)


def frames_of(events: Sequence[Event]) -> list[Pixels]:
    return [event.pixels for event in of_kind(FrameReady, events)]


def done_of(events: Sequence[Event]) -> JobDone:
    assert isinstance(events[-1], JobDone)
    return events[-1]


def encoded(frames: Sequence[Pixels]) -> Array:
    """What the computed VAE makes of frames."""
    runtime = ComputedRuntime()
    frame, following = (1, 3, 1, 8, 16), (1, 3, 4, 8, 16)
    graphs: Any = accumulating_graphs(runtime, "encoder", frame, following, LATENT, LATENT)
    return frames_as_latents(frames, CausalVaeStream(execution_on(runtime), *graphs))
