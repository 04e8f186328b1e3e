"""Compares a clip with the clip that the world draws for the same pair."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from evaluation.case import Frames
from evaluation.pocket.motion import happened, moved
from evaluation.pocket.sentences import Told
from evaluation.record import Truth
from pocket.evaluation.judgement import (
    is_light_followed,
    is_motion_followed,
    is_subject_kept,
    scene_psnr_db,
    subject_psnr_db,
)
from pocket.evaluation.naming import name_subject
from pocket.evaluation.tracking import Track, track_subject
from pocket.world import Clip, ClipSpec, render_clip

_SCENE_KEPT_DB = 30.0  # what the autoencoder alone is asked to keep of drawn clips (pocket/model/README.md)


def judge(frames: Frames, spec: ClipSpec, told: Told, first_frame_psnr_db: float, *, with_ceiling: bool) -> Truth:
    """The truth of a clip. ``spec`` is the picture's; ``with_ceiling`` judges the drawn clip too.

    With a single action the drawn clip shows the end of the motion, so that the last frame must show the subject's
    shape and colour. Without one, or with several, no drawn clip tells where the subject ends: only its name counts.
    """
    drawn, drawn_track = _drawn(replace(spec, action=_reference_action(spec, told), light=told.light or "steady"))
    made_track = track_subject(frames, spec)
    is_single = len(told.actions) == 1
    found = name_subject(frames[-1], made_track, spec)
    named = found == (spec.subject, spec.colour)
    kept = named and (not is_single or is_subject_kept(frames[-1], made_track, drawn.frames[-1], drawn_track))
    done = [_is_done(action, spec, made_track, drawn_track, is_single=is_single) for action in told.actions]
    light = told.light is None or is_light_followed(made_track, drawn_track, told.light)
    scene_db = scene_psnr_db(frames[-1], made_track, spec)
    described = (told.spec.subject, told.spec.colour)
    return Truth(
        subject=kept,
        motion=all(done) if told.actions else moved(made_track),
        light=light,
        scene=light and scene_db >= _SCENE_KEPT_DB,
        found="/".join(found),
        told_found=None if described == (spec.subject, spec.colour) else found == described,
        subject_psnr_db=round(subject_psnr_db(frames, drawn), 3) if is_single else None,
        scene_psnr_db=round(scene_db, 3),
        first_frame_psnr_db=round(first_frame_psnr_db, 3),
        judge_ceiling=_is_recognised(drawn.frames, drawn_track, spec) if with_ceiling else None,
        actions_done=sum(done),
        actions_asked=len(told.actions),
    )


@lru_cache(maxsize=16)
def _drawn(spec: ClipSpec) -> tuple[Clip, Track]:
    """The drawn clip of a spec and its track; the arms of a plan ask for the same ones again and again."""
    clip = render_clip(spec)
    return clip, track_subject(clip.frames, spec)


def _reference_action(spec: ClipSpec, told: Told) -> str:
    return told.actions[0] if len(told.actions) == 1 else spec.action


def _is_done(action: str, spec: ClipSpec, made: Track, drawn: Track, *, is_single: bool) -> bool:
    if is_single:
        return is_motion_followed(made, drawn, action)
    return happened(action, made, _drawn(replace(spec, action=action, light="steady"))[1])


def _is_recognised(frames: Frames, track: Track, spec: ClipSpec) -> bool:
    return name_subject(np.asarray(frames[-1]), track, spec) == (spec.subject, spec.colour)
