"""Stories of pocket's world for the benchmark of chains: a picture, and a sentence for each stage.

Each stage begins where the stage before ends, if the clip is drawn as asked: position, size, facing and light. A stage
is possible if its subject stays as near to the middle, and of such a size, as in clips of pocket's training.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache

import numpy as np

from pocket.world import LANGUAGES, LIGHTS, SUBJECTS, ClipSpec, Motion, caption, plan_motion, render_clip, sample_spec
from pocket.world.png import png_of

_FIRST_SEED = 41_000_003  # of no other evaluation
_SEED_STRIDE = 1_000
_LARGEST_OFFSET = 0.34  # of the subject's centre from the picture's, as a share of its side
_SIZES = (0.28, 0.9)
_LEAST_VISIBLE = 0.75  # share of the subject's box that stays in the picture
_LIGHT_SHARES = (0.4, 0.3, 0.3)  # of LIGHTS, as in training


class LightStage(Enum):
    """The stage in which the light may change; in all others it is steady.

    After a change the next stage begins in the dark or in glaring light, which no clip of pocket's training does; with
    ``LAST`` there is no next stage.
    """

    ANY = "any"
    LAST = "last"


@dataclass(frozen=True)
class Stage:
    """What happens in one segment. ``spec`` begins where the stage before ends; ``sentence`` is complete in itself."""

    spec: ClipSpec
    sentence: str


@dataclass(frozen=True)
class Case:
    """A drawn picture, PNG, and the stages that follow from it. ``seed`` is also that of the first segment's noise."""

    seed: int
    picture: bytes
    stages: tuple[Stage, ...]


@lru_cache(maxsize=8)
def case_of(index: int, stage_count: int, light_stage: LightStage = LightStage.LAST) -> Case:
    """A story. English and Chinese take turns.

    Subject, colour, scene and action of the first stage are held out of training together. No two stages in a row have
    the same action.
    """
    language = LANGUAGES[index % len(LANGUAGES)]
    first = _FIRST_SEED + index * _SEED_STRIDE
    for seed in range(first, first + _SEED_STRIDE):
        specs = _story(seed, stage_count, light_stage)
        if specs is not None:
            stages = tuple(Stage(spec, caption(spec, language, seed + number)) for number, spec in enumerate(specs))
            return Case(seed, png_of(render_clip(specs[0]).frames[0]), stages)
    raise ValueError(f"no story of {stage_count} stages for index {index}")


def at_end_of(spec: ClipSpec) -> ClipSpec:
    """The spec of the subject that stands still where a stage ends."""
    motion = plan_motion(spec)
    return replace(
        spec,
        action="stays",
        light="steady",
        facing=int(np.sign(motion.side[-1])),
        centre_x=float(motion.centre_x[-1]),
        lift=spec.lift + float(motion.centre_y[-1] - motion.centre_y[0]),
        size=float(motion.size[-1]),
        start_light=float(motion.light[-1]),
    )


def _story(seed: int, stage_count: int, light_stage: LightStage) -> tuple[ClipSpec, ...] | None:
    """The specs of a story, None where no possible stage is left."""
    rng = np.random.default_rng([seed, 97])
    lights = ["steady"] * stage_count
    changing = -1 if light_stage is LightStage.LAST else int(np.random.default_rng([seed, 98]).integers(stage_count))
    lights[changing] = str(rng.choice(LIGHTS, p=_LIGHT_SHARES))
    specs = [sample_spec(seed, held_out=True, light=lights[0])]
    if not _is_possible(plan_motion(specs[0])):
        return None
    for light in lights[1:]:
        candidates = [spec for spec in _following(specs[-1], light, rng) if _is_possible(plan_motion(spec))]
        if not candidates:
            return None
        specs.append(candidates[int(rng.integers(len(candidates)))])
    return tuple(specs)


def _following(before: ClipSpec, light: str, rng: np.random.Generator) -> Iterator[ClipSpec]:
    """Each other action of the subject, from where ``before`` ends."""
    start = at_end_of(before)
    for action in SUBJECTS[before.subject].actions:
        if action != before.action:
            yield replace(start, action=action, light=light, extent=float(rng.uniform(0.92, 1.08)))


def _is_possible(motion: Motion) -> bool:
    """Whether the subject stays in sight, and as large as training shows it."""
    offset = max(float(np.abs(centre - 0.5).max()) for centre in (motion.centre_x, motion.centre_y))
    if offset > _LARGEST_OFFSET or motion.size.min() < _SIZES[0] or motion.size.max() > _SIZES[1]:
        return False
    visible = np.ones_like(motion.size)
    for centre in (motion.centre_x, motion.centre_y):
        low, high = np.maximum(centre - motion.size / 2, 0.0), np.minimum(centre + motion.size / 2, 1.0)
        visible *= (high - low) / motion.size
    return bool(visible.min() >= _LEAST_VISIBLE)
