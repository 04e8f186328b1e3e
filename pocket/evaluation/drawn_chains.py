"""Draws chains of the synthetic world: faultless ones, which have no seams at all, and ones with a known fault."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pocket.world import FRAME_COUNT, OPPOSITE_ACTION, SUBJECTS, ClipSpec, caption, sample_spec
from pocket.world.chains import plan_chain, stays_in_sight
from pocket.world.motion import Motion
from pocket.world.render import render_motion

Frames = NDArray[np.uint8]

_NEW_FRAME_COUNT = 12
_SEGMENT_COUNTS = (2, 3, 5)
_TRIES = 50
_PLACE_JUMP = 0.15
_TINT = np.array((14, 4, -6))


@dataclass(frozen=True)
class Drawn:
    """A drawn chain: its frames, the number of frames that each segment adds, and the segments' sentences.

    frames: [frames, height, width, 3] uint8; masks: [frames, height, width] float32, the subject as in `Clip`.
    """

    frames: Frames
    masks: NDArray[np.float32]
    frame_counts: tuple[int, ...]
    prompts: tuple[str, ...]


Draw = Callable[[ClipSpec, int, np.random.Generator], Drawn | None]


def draw_chains(draw: Draw, count: int, seed: int) -> Iterator[Drawn]:
    """`count` chains of each number of segments."""
    for segment_count in _SEGMENT_COUNTS:
        for index in range(count):
            for attempt in range(_TRIES):  # not every subject can do every kind in sight
                number = (seed * count + index) * _TRIES + attempt
                chain = draw(sample_spec(number), segment_count, np.random.default_rng([number, segment_count]))
                if chain is not None:
                    yield chain
                    break


def other_actions(spec: ClipSpec, count: int, rng: np.random.Generator) -> list[str]:
    """The spec's action and further ones, none of them opposite to an earlier one."""
    actions = [spec.action]
    while len(actions) < count:
        possible = SUBJECTS[spec.subject].actions
        choices = [item for item in possible if item != actions[-1] and OPPOSITE_ACTION.get(item) not in actions]
        actions.append(choices[rng.integers(len(choices))])
    return actions


def _one_action(spec: ClipSpec, segment_count: int, _: np.random.Generator) -> Drawn | None:
    """One action over the whole clip."""
    counts = _frame_counts(segment_count)
    motion = plan_chain(spec, [spec.action], [sum(counts)])
    return _drawn(spec, motion, [spec.action] * segment_count)


def _other_actions(spec: ClipSpec, segment_count: int, rng: np.random.Generator) -> Drawn | None:
    """Another action in each segment."""
    actions = other_actions(spec, segment_count, rng)
    return _drawn(spec, plan_chain(spec, actions, _frame_counts(segment_count)), actions)


def _returning(spec: ClipSpec, segment_count: int, _: np.random.Generator) -> Drawn | None:
    """The subject moves, stays, and moves back."""
    if spec.action not in OPPOSITE_ACTION:
        return None
    actions = [spec.action, *["stays"] * (segment_count - 2), OPPOSITE_ACTION[spec.action]]
    return _drawn(spec, plan_chain(spec, actions, _frame_counts(segment_count)), [spec.action] * segment_count)


def _jumping_place(spec: ClipSpec, segment_count: int, rng: np.random.Generator) -> Drawn | None:
    """The subject is elsewhere from a seam on."""
    counts = _frame_counts(segment_count)
    motion = plan_chain(spec, [spec.action], [sum(counts)])
    moved = motion.centre_x.copy()
    moved[_a_seam(counts, rng) :] += _PLACE_JUMP * (1 if moved[-1] < 0.5 else -1)
    return _drawn(spec, replace(motion, centre_x=moved), [spec.action] * segment_count)


def _shifting_colours(spec: ClipSpec, segment_count: int, rng: np.random.Generator) -> Drawn | None:
    """Every frame from a seam on is tinted."""
    chain = _one_action(spec, segment_count, rng)
    if chain is None:
        return None
    frames = chain.frames.astype(np.int64)
    frames[_a_seam(chain.frame_counts, rng) :] += _TINT
    return replace(chain, frames=np.clip(frames, 0, 255).astype(np.uint8))


def _starting_over(spec: ClipSpec, segment_count: int, rng: np.random.Generator) -> Drawn | None:
    """The last segment shows the beginning of the clip again."""
    chain = _one_action(spec, segment_count, rng)
    if chain is None or spec.action == "stays":
        return None
    frames, masks = chain.frames.copy(), chain.masks.copy()
    frames[-_NEW_FRAME_COUNT:], masks[-_NEW_FRAME_COUNT:] = frames[:_NEW_FRAME_COUNT], masks[:_NEW_FRAME_COUNT]
    return replace(chain, frames=frames, masks=masks)


def _becoming_another(spec: ClipSpec, segment_count: int, rng: np.random.Generator) -> Drawn | None:
    """The subject is another one in the last segment, in the same place."""
    chain = _one_action(spec, segment_count, rng)
    others = [item for item in SUBJECTS.values() if item.name != spec.subject and spec.action in item.actions]
    other = others[rng.integers(len(others))]
    another = _one_action(replace(spec, subject=other.name, colour=other.colours[0]), segment_count, rng)
    if chain is None or another is None:
        return None
    frames, masks = chain.frames.copy(), chain.masks.copy()
    frames[-_NEW_FRAME_COUNT:], masks[-_NEW_FRAME_COUNT:] = (
        another.frames[-_NEW_FRAME_COUNT:],
        another.masks[-_NEW_FRAME_COUNT:],
    )
    return replace(chain, frames=frames, masks=masks)


def _drawn(spec: ClipSpec, motion: Motion, told: Sequence[str]) -> Drawn | None:
    """The chain of a motion, told as these actions; None if the subject leaves the picture."""
    if not stays_in_sight(motion):
        return None
    prompts = tuple(caption(replace(spec, action=action), "en", spec.scenery_seed) for action in told)
    clip = render_motion(spec, motion)
    return Drawn(clip.frames, clip.masks, _frame_counts(len(told)), prompts)


def _frame_counts(segment_count: int) -> tuple[int, ...]:
    return (FRAME_COUNT, *[_NEW_FRAME_COUNT] * (segment_count - 1))


def _a_seam(frame_counts: Sequence[int], rng: np.random.Generator) -> int:
    """Index of the first frame of one of the later segments."""
    return int(np.cumsum(frame_counts)[rng.integers(len(frame_counts) - 1)])


KINDS: dict[str, Draw] = {
    "faultless: one action": _one_action,
    "faultless: another action in each segment": _other_actions,
    "fault: the subject moves and returns": _returning,
    "fault: the last segment starts over": _starting_over,
    "fault: the subject is elsewhere after a seam": _jumping_place,
    "fault: another subject in the last segment": _becoming_another,
    "fault: other colours after a seam": _shifting_colours,
}
