"""One generated clip and what was found in it.

Knows how a clip is made and which measures are taken. Does not know which clips are asked for.
"""

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
    """A clip to make. `told` is what the sentence says where that is not what `spec` shows."""

    seed: int
    spec: ClipSpec
    language: str
    told: ClipSpec | None = None


@dataclass(frozen=True)
class Outcome:
    """A clip and its measures. `spec` is what the picture shows, `told` what the sentence says.

    picture: [height, width, 3] uint8; frames: [frames, height, width, 3] uint8; found: subject and
    colour that the last frame shows.
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
        """Return what is worth keeping of one clip, for a JSON file."""
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
    """Generate a clip and judge it against what was told; the motion, on the subject of the picture."""
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
    """Return the clip in which the picture's own subject does what was told."""
    return replace(spec, action=told.action, light=told.light)
