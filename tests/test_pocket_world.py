"""The synthetic world: the same seed gives the same clip, and captions are true."""

from dataclasses import replace

import numpy as np
import pytest

from pocket.evaluation.judgement import is_light_followed, is_motion_followed
from pocket.evaluation.tracking import track_subject
from pocket.world import (
    ACTIONS,
    FRAME_COUNT,
    LANGUAGES,
    LIGHTS,
    OPPOSITE_ACTION,
    PICTURE_PX,
    SUBJECTS,
    caption,
    is_held_out,
    is_plausible,
    list_combinations,
    render_clip,
    render_picture,
    sample_spec,
)
from pocket.world.wordings import action_phrases


def test_same_spec_gives_same_pixels() -> None:
    spec = sample_spec(5)
    first, second = render_clip(spec), render_clip(spec)
    assert spec == sample_spec(5)
    assert np.array_equal(first.frames, second.frames)
    assert np.array_equal(first.frames[3], render_picture(spec, 3))


def test_different_seeds_differ() -> None:
    assert len({sample_spec(seed) for seed in range(50)}) == 50


def test_shapes_and_ranges() -> None:
    clip = render_clip(sample_spec(1))
    assert clip.frames.shape == (FRAME_COUNT, PICTURE_PX, PICTURE_PX, 3)
    assert clip.frames.dtype == np.uint8
    assert clip.masks.shape == (FRAME_COUNT, PICTURE_PX, PICTURE_PX)
    assert clip.masks.min() >= 0.0
    assert clip.masks.max() <= 1.0


def test_training_never_draws_a_held_out_combination() -> None:
    drawn = {sample_spec(seed).combination for seed in range(2000)}
    held_out = set(list_combinations(True))
    assert not drawn & held_out
    assert all(is_held_out(sample_spec(seed, held_out=True).combination) for seed in range(200))
    assert not set(list_combinations(False)) & held_out


def test_held_out_set_covers_every_subject_and_action() -> None:
    held_out = list_combinations(True)
    assert {c[0] for c in held_out} == set(SUBJECTS)
    assert {c[3] for c in held_out} == set(ACTIONS)


def test_split_is_stable() -> None:
    """The split belongs to the trained checkpoint: a change here makes its figures untrue."""
    assert (len(list_combinations(False)), len(list_combinations(True))) == (462, 53)


def test_every_combination_is_plausible() -> None:
    for held_out in (False, True):
        assert all(is_plausible(c[0], c[2], c[3]) for c in list_combinations(held_out))
    assert not is_plausible("car", "road", "rises")
    assert not is_plausible("fish", "road", "moves_left")


def test_captions_exist_in_both_languages_with_several_wordings() -> None:
    for seed in range(30):
        spec = sample_spec(seed)
        english = {caption(spec, "en", wording) for wording in range(20)}
        chinese = {caption(spec, "zh", wording) for wording in range(20)}
        assert len(english) > 5
        assert len(chinese) > 5
        assert all(text.isascii() for text in english)
        assert all(any("\u4e00" <= c <= "\u9fff" for c in text) for text in chinese)


def test_every_subject_has_words_for_every_action() -> None:
    for language in LANGUAGES:
        for subject in SUBJECTS:
            assert all(action_phrases(subject, action, language) for action in ACTIONS)


def test_opposite_actions_never_share_a_wording() -> None:
    for language in LANGUAGES:
        for subject in SUBJECTS:
            for action, opposite in OPPOSITE_ACTION.items():
                ours = set(action_phrases(subject, action, language))
                assert not ours & set(action_phrases(subject, opposite, language))


def test_mask_centre_and_size_agree_with_motion() -> None:
    for seed in range(16):
        clip = render_clip(sample_spec(seed, action="stays"))
        rows, columns = np.nonzero(clip.masks[0] > 0.5)
        centre_x = (columns.min() + columns.max() + 1) / 2 / PICTURE_PX
        extent = max(np.ptp(rows), np.ptp(columns)) / PICTURE_PX
        assert abs(centre_x - clip.motion.centre_x[0]) < 0.08
        assert 0.6 * clip.motion.size[0] < extent < 1.2 * clip.motion.size[0]


def test_first_picture_does_not_tell_the_action() -> None:
    spec = sample_spec(3, action="moves_left")
    opposite = replace(spec, action="moves_right", light="fades")
    assert np.array_equal(render_picture(replace(spec, light="steady")), render_picture(opposite))


@pytest.mark.parametrize("action", ACTIONS)
def test_tracker_sees_the_drawn_motion_and_not_its_opposite(action: str) -> None:
    spec = sample_spec(11, action=action, light="steady")
    track = track_subject(render_clip(spec).frames, spec)
    assert is_motion_followed(track, track, action)
    if action in OPPOSITE_ACTION:
        opposite = replace(spec, action=OPPOSITE_ACTION[action])
        other = track_subject(render_clip(opposite).frames, opposite)
        assert not is_motion_followed(track, other, OPPOSITE_ACTION[action])


@pytest.mark.parametrize("light", LIGHTS)
def test_tracker_sees_the_drawn_light(light: str) -> None:
    spec = sample_spec(12, light=light)
    track = track_subject(render_clip(spec).frames, spec)
    assert is_light_followed(track, track, light)


def test_impossible_request_is_refused() -> None:
    with pytest.raises(ValueError, match="rises"):
        sample_spec(0, subject="car", action="rises")
