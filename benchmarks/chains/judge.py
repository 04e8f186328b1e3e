"""Judges a chain against the drawn story: motion and light of each stage, subject and scene at the end.

Motion and light are judged in the frames of one segment, from the last frame of the segment before, against the drawn
stage, as ``pocket.evaluation`` does. The drawn story, judged in the same way, shows how much the judge accepts at all.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from benchmarks.chains.cases import Case, at_end_of
from benchmarks.chains.made_chain import Frames, MadeChain
from pocket.evaluation.judgement import is_light_followed, is_motion_followed, is_subject_kept, scene_psnr_db
from pocket.evaluation.naming import name_subject
from pocket.evaluation.tracking import Track, track_subject
from pocket.world import ClipSpec, render_clip, render_picture

_LEAST_SCENE_PSNR_DB = 25.0  # of single clips: 37.5 on average
_SIZE_CHANGES = (0.3, 3.0)


@dataclass(frozen=True)
class Verdict:
    """``motions`` and ``lights`` have one entry for each stage."""

    motions: tuple[bool, ...]
    lights: tuple[bool, ...]
    subject: bool
    scene: bool

    @property
    def motion(self) -> bool:
        """Whether every stage's motion happened."""
        return all(self.motions)

    @property
    def light(self) -> bool:
        """Whether the light changed, or stayed, in every stage as asked."""
        return all(self.lights)

    @property
    def is_right(self) -> bool:
        """Whether every motion happened, and subject and scene are kept."""
        return self.motion and self.subject and self.scene


def judge_chain(chain: MadeChain, case: Case) -> Verdict:
    """Judges a chain that has a segment for each stage of the case."""
    specs = [stage.spec for stage in case.stages]
    tracks = [track_subject(part, spec) for part, spec in zip(_parts_with_start(chain), specs, strict=True)]
    judged = [(track, _drawn_track(spec), spec) for track, spec in zip(tracks, specs, strict=True)]
    last = chain.frames[-1]
    return Verdict(
        motions=tuple(is_motion_followed(made, drawn, spec.action) for made, drawn, spec in judged),
        lights=tuple(is_light_followed(made, drawn, spec.light) for made, drawn, spec in judged),
        subject=_is_kept(last, tracks[-1], specs[-1]),
        scene=scene_psnr_db(last, tracks[-1], specs[-1]) >= _LEAST_SCENE_PSNR_DB,
    )


def _parts_with_start(chain: MadeChain) -> list[Frames]:
    """The frames of each segment, from the last frame of the segment before."""
    parts = chain.parts
    return [parts[0], *(np.concatenate([before[-1:], part]) for before, part in itertools.pairwise(parts))]


def _is_kept(frame: Frames, made: Track, spec: ClipSpec) -> bool:
    """Whether the last frame shows the story's subject: recognised by name and colour, and of its drawn shape.

    The shape is that of the subject drawn at the place, of the size and in the light that the tracker found, so that a
    motion that did not happen counts once.
    """
    if name_subject(frame, made, spec) != (spec.subject, spec.colour):
        return False
    end, drawn_track = at_end_of(spec), _drawn_track(spec)
    change = float(made.size[-1]) / max(float(drawn_track.size[-1]), 1e-3)
    placed = replace(
        end,
        start_light=end.start_light + float(made.light[-1] - drawn_track.light[-1]),
        size=end.size * float(np.clip(change, *_SIZE_CHANGES)),
        centre_x=end.centre_x + float(made.centre_x[-1] - drawn_track.centre_x[-1]),
        lift=end.lift + float(made.centre_y[-1] - drawn_track.centre_y[-1]),
    )
    drawn = render_picture(placed)
    return is_subject_kept(frame, made, drawn, track_subject(drawn[None], placed))


@lru_cache(maxsize=32)
def _drawn_track(spec: ClipSpec) -> Track:
    return track_subject(render_clip(spec).frames, spec)
