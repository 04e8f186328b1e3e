"""Makes chains with the engine that the server uses, and judges them against the drawn chains of the same stages."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.api.cancellation import CancelFlag
from engine.api.chain import SegmentSpec
from engine.api.engine import Engine
from engine.api.events import FrameReady, JobDone
from engine.api.job import Job, SamplingSpec
from engine.api.media import Image, ImageFormat
from pocket.evaluation.drawn_chains import other_actions
from pocket.evaluation.judgement import is_motion_followed, is_subject_kept
from pocket.evaluation.tracking import track_subject
from pocket.world import LANGUAGES, Clip, ClipSpec, caption, render_still, sample_spec
from pocket.world.chains import plan_chain, stays_in_sight
from pocket.world.png import png_of
from pocket.world.render import render_motion

_TRIES = 50


@dataclass(frozen=True)
class Made:
    """A made chain. `is_good`: in each segment the subject does what its sentence says, and stays itself."""

    done: JobDone
    is_good: bool


def make_chains(engine: Engine, frame_counts: Sequence[int], count: int, seed: int) -> Iterator[Made]:
    """`count` chains whose segments add so many frames, with another action in each, in steady light."""
    for index in range(count):
        for attempt in range(_TRIES):  # not every subject can do everything in sight
            number = (seed * count + index) * _TRIES + attempt
            spec = sample_spec(number, held_out=True, light="steady")
            actions = other_actions(spec, len(frame_counts), np.random.default_rng(number))
            motion = plan_chain(spec, actions, frame_counts)
            if stays_in_sight(motion):
                yield _made(engine, render_motion(spec, motion), actions, frame_counts, number)
                break


def _made(engine: Engine, drawn: Clip, actions: Sequence[str], frame_counts: Sequence[int], seed: int) -> Made:
    spec, language = drawn.spec, LANGUAGES[seed % len(LANGUAGES)]
    prompts = [caption(replace(spec, action=action), language, seed, always_complete=True) for action in actions]
    job = Job(
        image=Image(png_of(render_still(spec)[0]), ImageFormat.PNG),
        prompt="",
        sampling=SamplingSpec(seed=seed),
        segments=tuple(SegmentSpec(prompt) for prompt in prompts),
    )
    events = list(engine.generate(engine.prepare(job), CancelFlag()))
    (done,) = (event for event in events if isinstance(event, JobDone))
    frames = np.stack([event.pixels for event in events if isinstance(event, FrameReady)])
    return Made(done, all(_followed(spec, frames, drawn, stage) for stage in _stages(actions, frame_counts)))


def _stages(actions: Sequence[str], frame_counts: Sequence[int]) -> Iterator[tuple[str, slice]]:
    """Each action with its frames, from the last one before it on."""
    first = 0
    for action, count in zip(actions, frame_counts, strict=True):
        yield action, slice(max(first - 1, 0), first + count)
        first += count


def _followed(spec: ClipSpec, frames: NDArray[np.uint8], drawn: Clip, stage: tuple[str, slice]) -> bool:
    action, chosen = stage
    made, wanted = track_subject(frames[chosen], spec), track_subject(drawn.frames[chosen], spec)
    is_kept = is_subject_kept(frames[chosen][-1], made, drawn.frames[chosen][-1], wanted)
    return is_kept and is_motion_followed(made, wanted, action)
