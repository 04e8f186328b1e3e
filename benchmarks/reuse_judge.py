"""Pairs of pocket's world for ``benchmarks.reuse``, and the truth about their clips."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pocket.evaluation.judgement import is_motion_followed, is_subject_kept, subject_psnr_db
from pocket.evaluation.naming import name_subject
from pocket.evaluation.tracking import Track, track_subject
from pocket.world import LANGUAGES, Clip, ClipSpec, caption, render_clip, sample_spec

_FIRST_SEED = 28_000_084  # of no other evaluation


@dataclass(frozen=True)
class Pair:
    """A drawn picture, PNG, and a sentence about it. ``seed`` is also that of the clip's noise."""

    seed: int
    spec: ClipSpec
    sentence: str
    picture: bytes


def pair_of(index: int) -> Pair:
    """A held-out pair; English and Chinese take turns."""
    seed = _FIRST_SEED + index
    spec = sample_spec(seed, held_out=True)
    stream = io.BytesIO()
    Image.fromarray(render_clip(spec).frames[0]).save(stream, "PNG")
    return Pair(seed, spec, caption(spec, LANGUAGES[index % len(LANGUAGES)], seed), stream.getvalue())


def judge_clip(frames: NDArray[np.uint8], pair: Pair) -> dict[str, float]:
    """Whether motion was followed and the subject kept, 0 or 1, and PSNR of the subject against the drawn clip, dB."""
    drawn, drawn_track = _drawn(pair.spec)
    track = track_subject(frames, pair.spec)
    named = name_subject(frames[-1], track, pair.spec) == (pair.spec.subject, pair.spec.colour)
    return {
        "motion": float(is_motion_followed(track, drawn_track, pair.spec.action)),
        "subject": float(named and is_subject_kept(frames[-1], track, drawn.frames[-1], drawn_track)),
        "subject_psnr_db": subject_psnr_db(frames, drawn),
    }


@lru_cache(maxsize=4)
def _drawn(spec: ClipSpec) -> tuple[Clip, Track]:
    clip = render_clip(spec)
    return clip, track_subject(clip.frames, spec)
