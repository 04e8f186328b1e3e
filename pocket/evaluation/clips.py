"""Generates one clip and takes every measure of it; `run_clip` is the entry point."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pocket.evaluation.generation import Generator, Sampling
from pocket.evaluation.judgement import (
    is_light_followed,
    is_motion_followed,
    is_subject_kept,
    scene_psnr_db,
    subject_psnr_db,
)
from pocket.evaluation.naming import name_subject
from pocket.evaluation.tracking import track_subject
from pocket.world import ClipSpec, caption, render_clip


@dataclass(frozen=True)
class Asked:
    """A clip to generate: `spec` is drawn as the picture; `told` is the spec of a mismatched sentence, if any."""

    seed: int
    spec: ClipSpec
    language: str
    told: ClipSpec | None = None


@dataclass(frozen=True)
class Outcome:
    """A generated clip and its measures. `spec` describes the picture, `told` the sentence.

    picture: [height, width, 3] uint8; frames: [frames, height, width, 3] uint8; found: subject and colour recognised
    in the last frame; match_score: 0..100.
    """

    spec: ClipSpec
    told: ClipSpec
    language: str
    sentence: str
    picture: NDArray[np.uint8]
    frames: NDArray[np.uint8]
    first_frame_psnr_db: float
    subject_psnr_db: float
    scene_psnr_db: float
    motion_followed: bool
    light_followed: bool
    subject_kept: bool
    found: tuple[str, str]
    match_score: float
    seconds: float

    def figures(self) -> dict[str, str | float | bool]:
        """Return the clip's figures as a row for the JSON file."""
        return {
            "picture": "/".join((self.spec.subject, self.spec.colour, self.spec.scene)),
            "sentence": self.sentence,
            "action": self.told.action,
            "light": self.told.light,
            "first_frame_psnr_db": round(self.first_frame_psnr_db, 2),
            "subject_psnr_db": round(self.subject_psnr_db, 2),
            "motion_followed": self.motion_followed,
            "light_followed": self.light_followed,
            "subject_kept": self.subject_kept,
            "found": "/".join(self.found),
            "match_score": round(self.match_score, 1),
        }


def run_clip(generator: Generator, asked: Asked, sampling: Sampling) -> Outcome:
    """Generate a clip and compare it with the drawn clip in which the pictured subject does what the sentence says."""
    spec, told = asked.spec, asked.told or asked.spec
    sentence = caption(told, asked.language, asked.seed, always_complete=asked.told is not None)
    drawn = render_clip(_as_told(spec, told))
    made = generator.generate(drawn.frames[0], sentence, asked.seed, sampling)
    made_track = track_subject(made.frames, spec)
    drawn_track = track_subject(drawn.frames, spec)
    found = name_subject(made.frames[-1], made_track, spec)
    return Outcome(
        spec=spec,
        told=told,
        language=asked.language,
        sentence=sentence,
        picture=drawn.frames[0],
        frames=made.frames,
        first_frame_psnr_db=made.first_frame_psnr_db,
        subject_psnr_db=subject_psnr_db(made.frames, drawn),
        scene_psnr_db=scene_psnr_db(made.frames[-1], made_track, spec),
        motion_followed=is_motion_followed(made_track, drawn_track, told.action),
        light_followed=is_light_followed(made_track, drawn_track, told.light),
        subject_kept=found == (spec.subject, spec.colour)
        and is_subject_kept(made.frames[-1], made_track, drawn.frames[-1], drawn_track),
        found=found,
        match_score=made.match_score,
        seconds=made.seconds,
    )


def _as_told(spec: ClipSpec, told: ClipSpec) -> ClipSpec:
    """Return the spec in which the pictured subject has the action and light of the sentence."""
    return replace(spec, action=told.action, light=told.light)
