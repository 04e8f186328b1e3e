"""Sentences that contradict a picture in exactly one part: subject, colour, scene or action."""

from dataclasses import replace
from enum import Enum

import numpy as np

from pocket.world import ACTIONS, SCENES, SUBJECTS, ClipSpec


class Mismatch(Enum):
    """The part of the sentence that contradicts the picture."""

    SUBJECT = "another subject"
    COLOUR = "another colour"
    SCENE = "another scene"
    ACTION = "an action that the subject cannot do"


def mismatched(spec: ClipSpec, kind: Mismatch, seed: int) -> ClipSpec | None:
    """Return the spec of a mismatched sentence for the picture of `spec`; None if the world allows none.

    Only the part named by `kind` differs; the seed picks among the possible replacements.
    """
    rng = np.random.default_rng([seed, list(Mismatch).index(kind)])
    subject = SUBJECTS[spec.subject]
    choices: list[ClipSpec]
    match kind:
        case Mismatch.SUBJECT:
            others = [s for s in SUBJECTS.values() if s.name != spec.subject and spec.action in s.actions]
            choices = [replace(spec, subject=s.name, colour=c) for s in others for c in s.colours if c != spec.colour]
        case Mismatch.COLOUR:
            choices = [replace(spec, colour=colour) for colour in subject.colours if colour != spec.colour]
        case Mismatch.SCENE:
            choices = [replace(spec, scene=scene) for scene in SCENES if scene != spec.scene]
        case Mismatch.ACTION:
            choices = [replace(spec, action=action) for action in ACTIONS if action not in subject.actions]
    return choices[int(rng.integers(len(choices)))] if choices else None
