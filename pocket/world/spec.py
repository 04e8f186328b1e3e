"""The spec of a clip, random sampling of specs, and the split into training and held-out combinations."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from pocket.world.vocabulary import LIGHTS, SUBJECTS

Combination = tuple[str, str, str, str]
"""(subject, colour, scene, action)."""

_HELD_OUT_ONE_IN = 10


@dataclass(frozen=True)
class Distractor:
    """A second subject that stands still in the scene, behind the first; places and size as in `ClipSpec`."""

    subject: str
    colour: str
    centre_x: float
    centre_y: float
    size: float


@dataclass(frozen=True)
class Framing:
    """The part of the drawing that fills the picture, as fractions of its side. Stretches a part that is no square."""

    left: float = 0.0
    top: float = 0.0
    right: float = 1.0
    low: float = 1.0


@dataclass(frozen=True)
class ClipSpec:
    """Everything that determines a clip: the same spec always gives the same pixels."""

    subject: str
    colour: str
    scene: str
    action: str
    light: str
    facing: int
    """+1: the front end points right at the start; -1: left."""
    centre_x: float
    """Start of the subject's centre, as a fraction of the picture's width."""
    lift: float
    """Small vertical offset of the start, as a fraction of the height."""
    size: float
    """Side of the subject's box at the start, as a fraction of the picture's side."""
    extent: float
    """Factor on the usual length of the motion, about 1."""
    start_light: float
    """Light at the start: -1 dark, 0 as painted, +1 glaring."""
    scenery_seed: int
    distractor: Distractor | None = None
    lettering: str = ""
    """Words across the top of the picture, on the scene."""
    framing: Framing = Framing()

    @property
    def combination(self) -> Combination:
        """Subject, colour, scene and action, which decide whether the clip is held out of training."""
        return (self.subject, self.colour, self.scene, self.action)


def is_held_out(combination: Combination) -> bool:
    """Return True if a combination is held out of training: about one in ten, by a stable hash."""
    digest = hashlib.sha256("/".join(combination).encode()).digest()
    return int.from_bytes(digest[:4], "big") % _HELD_OUT_ONE_IN == 0


@cache
def list_combinations(held_out: bool) -> tuple[Combination, ...]:
    """Return all plausible combinations on one side of the split, in a fixed order."""
    return tuple(c for c in _plausible_combinations() if is_held_out(c) == held_out)


def sample_spec(
    seed: int,
    *,
    held_out: bool = False,
    subject: str | None = None,
    action: str | None = None,
    light: str | None = None,
) -> ClipSpec:
    """Sample one spec from a seed: uniform over subjects, then actions, scenes and colours.

    `subject`, `action` and `light` fix a choice. Raises ValueError if no combination on this side of the split fits.
    """
    rng = np.random.default_rng([seed, int(held_out)])
    choices = [c for c in list_combinations(held_out) if subject in (None, c[0]) and action in (None, c[3])]
    if not choices:
        raise ValueError(f"no combination with subject={subject!r}, action={action!r}, held_out={held_out}")
    for position in (0, 3, 2, 1):
        names = sorted({c[position] for c in choices})
        name = names[rng.integers(len(names))]
        choices = [c for c in choices if c[position] == name]
    (chosen,) = choices
    return ClipSpec(
        subject=chosen[0],
        colour=chosen[1],
        scene=chosen[2],
        action=chosen[3],
        light=light or LIGHTS[rng.choice(3, p=(0.4, 0.3, 0.3))],
        facing=int(rng.choice((-1, 1))),
        centre_x=float(rng.uniform(0.43, 0.57)),
        lift=float(rng.uniform(-0.03, 0.03)),
        size=float(rng.uniform(0.48, 0.6)),
        extent=float(rng.uniform(0.92, 1.08)),
        start_light=float(rng.uniform(-0.15, 0.1)),
        scenery_seed=int(rng.integers(2**31)),
    )


def _plausible_combinations() -> Iterator[Combination]:
    for subject in SUBJECTS.values():
        for colour in subject.colours:
            for scene in subject.scenes:
                for action in subject.actions:
                    yield (subject.name, colour, scene, action)
