"""Ways to make a chain of segments, by name."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image as PilImage

from benchmarks.chains.cases import Case
from benchmarks.chains.made_chain import Frames, MadeChain, joined
from engine.api.cancellation import CancelFlag
from engine.api.events import FrameReady
from engine.api.job import Job, MatchMode, MatchPolicy, SamplingSpec
from engine.api.media import Image
from engine.generate.bundle_engine import BundleEngine
from pocket.world import render_clip

BASELINE = "by_hand"
TRUTH = "drawn"
Method = Callable[[BundleEngine, Case], MadeChain]


def drawn(_engine: BundleEngine, case: Case) -> MadeChain:
    """The story as the world draws it: what the judge should accept. Each stage repeats one frame, which is left out."""
    clips = [render_clip(stage.spec).frames for stage in case.stages]
    return joined([clips[0], *(frames[1:] for frames in clips[1:])])


def by_hand(engine: BundleEngine, case: Case) -> MadeChain:
    """Separate clips: the last frame of each, as PNG, is the picture of the next one, which repeats that frame."""
    picture = case.picture
    parts: list[Frames] = []
    for index, stage in enumerate(case.stages):
        frames = _clip(engine, picture, stage.sentence, case.seed + index)
        parts.append(frames if index == 0 else frames[1:])
        picture = _png(frames[-1])
    return joined(parts)


def _clip(engine: BundleEngine, picture: bytes, sentence: str, seed: int) -> Frames:
    job = Job(Image(picture), sentence, sampling=SamplingSpec(seed=seed), match=MatchPolicy(MatchMode.OFF))
    events = engine.generate(engine.prepare(job), CancelFlag())
    return np.stack([event.pixels for event in events if isinstance(event, FrameReady)])


def _png(pixels: Frames) -> bytes:
    stream = io.BytesIO()
    PilImage.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


METHODS: dict[str, Method] = {TRUTH: drawn, BASELINE: by_hand}
