"""The judges of generated clips, tested on drawn clips with known ground truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from export.calibrate.statistics import wilson_interval
from pocket.evaluation.judgement import is_subject_kept, scene_psnr_db, subject_psnr_db
from pocket.evaluation.mismatch import Mismatch, mismatched
from pocket.evaluation.naming import name_subject, replace_subject, subject_distances
from pocket.evaluation.tracking import track_subject
from pocket.world import SUBJECTS, is_plausible, render_clip, sample_spec

_SEEDS = range(40, 70)


def test_tracker_finds_the_drawn_mask() -> None:
    overlaps = []
    for seed in _SEEDS:
        clip = render_clip(sample_spec(seed, held_out=bool(seed % 2)))
        found = track_subject(clip.frames[-1:], clip.spec).masks[0]
        drawn = clip.masks[-1] > 0.5
        overlaps.append((found & drawn).sum() / (found | drawn).sum())
    assert sum(overlap < 0.6 for overlap in overlaps) <= 1  # a white cat before a white wall
    assert np.mean(overlaps) > 0.75


def test_drawn_subjects_are_named_and_far_from_all_others() -> None:
    margins = []
    for seed in (*range(40, 56), 148, 160, 168, 186):  # the last are balls that rolled, and a car far away
        clip = render_clip(sample_spec(seed, held_out=bool(seed % 2)))
        distances = subject_distances(clip.frames[-1], track_subject(clip.frames, clip.spec), clip.spec)
        own = distances.pop((clip.spec.subject, clip.spec.colour))
        margins.append(min(distances.values()) / max(own, 1e-9))
    assert sum(margin < 1.05 for margin in margins) <= 1
    assert np.median(margins) > 2.5


def test_subject_that_was_exchanged_on_the_way_is_named_as_what_it_became() -> None:
    for seed in range(70, 78):
        spec = sample_spec(seed, light="steady")
        other = replace_subject(spec, *(("car", "red") if spec.subject != "car" else ("cat", "grey")))
        frames = render_clip(spec).frames.copy()
        frames[-1] = render_clip(other).frames[-1]
        named = name_subject(frames[-1], track_subject(frames, spec), spec)
        assert named == (other.subject, other.colour)


def test_another_subject_or_colour_is_not_the_subject_kept() -> None:
    spec = sample_spec(3, subject="ball", action="stays", light="steady")
    clip = render_clip(spec)
    track = track_subject(clip.frames, spec)
    assert is_subject_kept(clip.frames[-1], track, clip.frames[-1], track)
    for other in (replace(spec, subject="car"), replace(spec, colour="green" if spec.colour != "green" else "red")):
        made = render_clip(other)
        made_track = track_subject(made.frames, spec)
        kept = is_subject_kept(made.frames[-1], made_track, clip.frames[-1], track)
        assert not kept or name_subject(made.frames[-1], made_track, spec) != (spec.subject, spec.colour)


def test_scene_figure_is_high_for_the_scene_and_low_for_another() -> None:
    spec = sample_spec(5, subject="cat", light="steady")
    clip = render_clip(spec)
    track = track_subject(clip.frames, spec)
    elsewhere = replace(spec, scene="sky" if spec.scene != "sky" else "road")
    assert scene_psnr_db(clip.frames[-1], track, spec) > 25.0
    assert scene_psnr_db(clip.frames[-1], track, elsewhere) < 20.0


def test_subject_is_compared_where_it_is_drawn_and_nowhere_else() -> None:
    clip = render_clip(sample_spec(11))
    shown = clip.masks > 0.5
    brighter = np.where(shown[..., None], np.clip(clip.frames, 0, 245) + 10, 0).astype(np.uint8)
    error = float(np.mean((brighter[shown].astype(float) - clip.frames[shown]) ** 2))
    assert subject_psnr_db(brighter, clip) == pytest.approx(10.0 * np.log10(255.0**2 / error))
    assert 28.0 < subject_psnr_db(brighter, clip) < 32.0


@pytest.mark.parametrize("kind", list(Mismatch))
def test_a_mismatch_differs_in_its_one_thing(kind: Mismatch) -> None:
    changed = {
        Mismatch.SUBJECT: {"subject", "colour"},
        Mismatch.COLOUR: {"colour"},
        Mismatch.SCENE: {"scene"},
        Mismatch.ACTION: {"action"},
    }[kind]
    seen = 0
    for seed in _SEEDS:
        spec = sample_spec(seed)
        told = mismatched(spec, kind, seed)
        if told is None:
            continue
        seen += 1
        assert {name for name, value in vars(spec).items() if value != getattr(told, name)} == changed
        if kind is Mismatch.ACTION:
            assert not is_plausible(told.subject, told.scene, told.action)
        if kind is Mismatch.SUBJECT:
            assert told.action in SUBJECTS[told.subject].actions
    assert seen > len(_SEEDS) // 2


def test_wilson_interval_of_published_example() -> None:
    low, high = wilson_interval(8, 10)  # Newcombe 1998: 0.490 to 0.943
    assert low == pytest.approx(0.490, abs=1e-3)
    assert high == pytest.approx(0.943, abs=1e-3)
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert [wilson_interval(0, count)[0] for count in range(1, 300)] == [0.0] * 299
    assert [wilson_interval(count, count)[1] for count in range(1, 300)] == [1.0] * 299
