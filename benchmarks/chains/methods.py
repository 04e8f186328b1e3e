"""Ways to make a chain of segments, by name."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image as PilImage

from benchmarks.chains.cases import Case
from benchmarks.chains.joins import ColourMatched, Masked, WeightedPutBack
from benchmarks.chains.made_chain import Frames, MadeChain, joined
from engine.api.cancellation import CancelFlag
from engine.api.events import FrameReady
from engine.api.job import Job, MatchMode, MatchPolicy, PreparedJob, PreparedSegment, SamplingSpec
from engine.api.media import Image
from engine.generate.bundle_engine import BundleEngine
from engine.generate.loading import LoadedBundle, load_bundle
from engine.generate.segment_join import PutBack, SegmentJoin
from engine.runtime.ort import OrtRuntime
from pocket.world import render_clip
from pocket.world.png import png_of

TRUTH, BASELINE = "drawn", "by_hand"
Maker = Callable[[Case], MadeChain]


@dataclass(frozen=True)
class JoinMethod:
    """A chain of the engine with a join. ``shares_noise``: every segment has the seed of the first."""

    join: Callable[[], SegmentJoin]
    shares_noise: bool = False


JOIN_METHODS = {
    "put_back_2": JoinMethod(lambda: PutBack(5)),
    "put_back_3": JoinMethod(lambda: PutBack(9)),
    "blend_2": JoinMethod(lambda: WeightedPutBack((1.0, 0.5))),
    "mask_2": JoinMethod(lambda: Masked(2)),
    "put_back_2_colour": JoinMethod(lambda: ColourMatched(PutBack(5))),
    "put_back_2_shared_noise": JoinMethod(lambda: PutBack(5), shares_noise=True),
}
METHODS = (TRUTH, BASELINE, *JOIN_METHODS)


class Workshop:
    """Makes chains with one bundle on the CPU."""

    def __init__(self, bundle: Path, thread_count: int) -> None:
        """Raises ``BundleInvalid``."""
        self._bundle: LoadedBundle = load_bundle(bundle, OrtRuntime(thread_count))
        self.bundle_digest = self._bundle.digest
        self.frame_rate = self._bundle.manifest.frame_rate

    def maker(self, method: str) -> Maker:
        """The maker of chains by a method's name."""
        if method == TRUTH:
            return drawn
        chosen = JOIN_METHODS.get(method, JoinMethod(lambda: PutBack(1)))
        join = chosen.join()
        engine = BundleEngine(self._bundle, text_cache_entry_count=0, join=join)
        if method == BASELINE:
            return lambda case: by_hand(engine, case)
        return lambda case: chain_of(engine, join, case, shares_noise=chosen.shares_noise)


def drawn(case: Case) -> MadeChain:
    """The story as the world draws it: what the judge should accept. The frame that each stage repeats is left out."""
    clips = [render_clip(stage.spec).frames for stage in case.stages]
    return joined([clips[0], *(frames[1:] for frames in clips[1:])])


def by_hand(engine: BundleEngine, case: Case) -> MadeChain:
    """Separate clips: the last frame of each, as PNG, is the picture of the next one, which repeats that frame."""
    picture = case.picture
    parts: list[Frames] = []
    for index, stage in enumerate(case.stages):
        frames = _frames_of(engine, clip_job(engine, picture, stage.sentence, case.seed + index))
        parts.append(frames if index == 0 else frames[1:])
        picture = png_of(frames[-1])
    return joined(parts)


def chain_of(engine: BundleEngine, join: SegmentJoin, case: Case, *, shares_noise: bool = False) -> MadeChain:
    """One job of the engine with a segment for each stage."""
    if isinstance(join, ColourMatched):
        join.begin_chain(np.asarray(PilImage.open(io.BytesIO(case.picture)).convert("RGB")))
    sentences = [stage.sentence for stage in case.stages]
    job = chain_job(clip_job(engine, case.picture, sentences[0], case.seed), sentences, join, shares_noise=shares_noise)
    frames = _frames_of(engine, job)
    return MadeChain(frames, tuple(segment.first_frame_index for segment in job.segments))


def clip_job(
    engine: BundleEngine, picture: bytes, sentence: str, seed: int, step_count: int | None = None
) -> PreparedJob:
    """A clip of the bundle's default length, without a match score."""
    sampling = SamplingSpec(step_count, seed=seed)
    return engine.prepare(Job(Image(picture), sentence, sampling=sampling, match=MatchPolicy(MatchMode.OFF)))


def chain_job(
    clip: PreparedJob, sentences: Sequence[str], join: SegmentJoin, *, shares_noise: bool = False
) -> PreparedJob:
    """The chain that begins as ``clip`` does, with a segment of its length for each sentence."""
    length, given = clip.settings.frame_count, join.given_frame_count
    segments = [
        PreparedSegment(
            prompt=sentence,
            settings=replace(clip.settings, seed=clip.settings.seed + (0 if shares_noise else index)),
            first_frame_index=0 if index == 0 else length + (index - 1) * (length - given),
            new_frame_count=length if index == 0 else length - given,
            given_frame_count=0 if index == 0 else given,
        )
        for index, sentence in enumerate(sentences)
    ]
    total = segments[-1].first_frame_index + segments[-1].new_frame_count
    return replace(clip, settings=replace(clip.settings, frame_count=total), segments=tuple(segments))


def _frames_of(engine: BundleEngine, job: PreparedJob) -> Frames:
    events = engine.generate(job, CancelFlag())
    return np.stack([event.pixels for event in events if isinstance(event, FrameReady)])
