"""Training sentences for the match scorer: true of a picture or wrong in one part, with exact labels."""

from dataclasses import dataclass, replace

import numpy as np

from pocket.world import (
    ACTIONS,
    LANGUAGES,
    SCENES,
    SUBJECTS,
    ClipSpec,
    caption,
    is_plausible,
    scene_caption,
    still_caption,
)
from pocket.world.wordings import action_phrases

_TRUE_SHARE = 0.5


@dataclass(frozen=True)
class Claim:
    """The content of a sentence; None for parts that it leaves out. `phrase` is the exact wording of the action."""

    subject: str | None
    colour: str | None
    scene: str | None
    action: str | None
    phrase: str | None = None
    language: str = LANGUAGES[0]

    def fits(self, spec: ClipSpec) -> bool:
        """Return True if the claim is true of a still picture of `spec`; an action must be possible for its subject."""
        named = ((self.subject, spec.subject), (self.colour, spec.colour), (self.scene, spec.scene))
        if any(said is not None and said != shown for said, shown in named):
            return False
        if self.action is None:
            return True
        if self.phrase is not None and self.phrase not in action_phrases(spec.subject, self.action, self.language):
            return False
        return is_plausible(spec.subject, spec.scene, self.action)


def draw_claim(spec: ClipSpec, rng: np.random.Generator) -> tuple[Claim, str]:
    """Draw a claim about `spec` and its sentence: half are true, the others wrong in one part where possible."""
    language = LANGUAGES[int(rng.integers(len(LANGUAGES)))]
    seed = int(rng.integers(2**31))
    told = spec if rng.random() < _TRUE_SHARE else _changed(spec, rng)
    kind = rng.random()
    if kind < 0.15:
        return Claim(None, None, told.scene, None), scene_caption(told.scene, language, seed)
    colour = told.colour if rng.random() < 0.7 else None
    scene = told.scene if rng.random() < 0.4 else None
    if kind < 0.30:
        claim = Claim(told.subject, told.colour, told.scene, told.action)
        return claim, caption(told, language, seed, always_complete=True)
    named = still_caption(told.subject, colour, scene, language, seed)
    if kind < 0.60:
        return Claim(told.subject, colour, scene, None), named
    return _with_action(told, Claim(told.subject, colour, scene, None, language=language), named, rng)


def _with_action(told: ClipSpec, claim: Claim, named: str, rng: np.random.Generator) -> tuple[Claim, str]:
    """Add an action to a claim and its sentence; a third of the time a random action in a random subject's wording."""
    action, doer = told.action, told.subject
    if rng.random() < 0.33:
        action = ACTIONS[int(rng.integers(len(ACTIONS)))]
        doer = list(SUBJECTS)[int(rng.integers(len(SUBJECTS)))]
    phrases = action_phrases(doer, action, claim.language)
    phrase = phrases[int(rng.integers(len(phrases)))]
    joint = " " if claim.language == "en" else ""
    return replace(claim, action=action, phrase=phrase), named + joint + phrase


def _changed(spec: ClipSpec, rng: np.random.Generator) -> ClipSpec:
    """Return `spec` with subject, colour, scene or action replaced."""
    kind = rng.random()
    if kind < 0.25:
        others = [subject for subject in SUBJECTS.values() if subject.name != spec.subject]
        other = others[int(rng.integers(len(others)))]
        return replace(spec, subject=other.name, colour=other.colours[int(rng.integers(len(other.colours)))])
    if kind < 0.45:
        return replace(spec, colour=_other(SUBJECTS[spec.subject].colours, spec.colour, rng))
    if kind < 0.7:
        return replace(spec, scene=_other(SCENES, spec.scene, rng))
    impossible = [action for action in ACTIONS if action not in SUBJECTS[spec.subject].actions]
    return replace(spec, action=impossible[int(rng.integers(len(impossible)))]) if impossible else spec


def _other(names: tuple[str, ...], own: str, rng: np.random.Generator) -> str:
    others = [name for name in names if name != own]
    return others[int(rng.integers(len(others)))]
