"""Measures of synthetic clips, and the symptoms and remedies derived from measures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow

from engine.analysis.diagnosis.clip_factors import FLAWLESS, clip_factors
from engine.analysis.diagnosis.clip_watch import (
    ClipWatch,
    burnt_share,
    edge_density,
    high_saturation,
    sample_indices,
)
from engine.analysis.diagnosis.flow import displacements, largest_displacement, small_luminance
from engine.analysis.diagnosis.judgement import DiagnosisInput, diagnose
from engine.analysis.diagnosis.likeness import SampledFeatures, likeness_of
from engine.analysis.diagnosis.measured_evidence import CLIP_REMEDIES
from engine.api.diagnosis import ClipMetrics, Likeness, RemedyKind, SymptomKind
from engine.api.job import ClipPlan, VideoSpec
from engine.api.match_report import MatchReport
from engine.api.media import Box, Image
from engine.api.prompt_report import Language
from engine.testing.fake_engine import FakeEngine
from tests.serving import png

Pixels = NDArray[np.uint8]
_GOOD = ClipMetrics(
    dynamic_degree=0.5,
    motion_speed=0.2,
    temporal_flicker=0.98,
    largest_change=0.03,
    burnt_gain=0.0,
    likeness=Likeness(0.95, 0.97, 0.05),
)


def _texture(side: int = 128) -> Pixels:
    coarse = np.random.default_rng(0).integers(0, 256, (side // 8, side // 8, 3), np.uint8)
    return np.asarray(Pillow.fromarray(coarse).resize((side, side), Pillow.Resampling.BICUBIC))


def _watched(frames: list[Pixels], frame_rate: float = 8.0) -> ClipMetrics:
    watch = ClipWatch(len(frames), frame_rate)
    for frame in frames:
        watch.add(frame)
    return watch.metrics()


@pytest.mark.parametrize(("shift_px", "expected"), [(0, 0.0), (4, 2 / 64), (8, 4 / 64)])
def test_a_shift_is_measured(shift_px: int, expected: float) -> None:
    before = _texture()
    after = np.roll(before, shift_px, axis=1)
    found = displacements(small_luminance(before), small_luminance(after))
    assert largest_displacement(found) == pytest.approx(expected, abs=0.02)


def test_a_moving_clip_is_dynamic_and_a_still_one_is_not() -> None:
    moving = _watched([np.roll(_texture(), 6 * index, axis=1) for index in range(9)])
    still = _watched([_texture()] * 9)
    assert moving.dynamic_degree == 1.0
    assert moving.motion_speed == pytest.approx(6 / 128 * 8, rel=0.3)  # shorter sides a second
    assert (still.dynamic_degree, still.motion_speed, still.temporal_flicker) == (0.0, 0.0, 1.0)


def test_motion_is_measured_over_an_eighth_of_a_second() -> None:
    """At twice the frame rate a step is half as far, and the speed the same."""
    slow = _watched([np.roll(_texture(), 6 * index, axis=1) for index in range(9)], 8.0)
    fast = _watched([np.roll(_texture(), 3 * index, axis=1) for index in range(17)], 16.0)
    assert fast.dynamic_degree == slow.dynamic_degree == 1.0
    assert fast.motion_speed == pytest.approx(slow.motion_speed, rel=0.1)


def test_a_cut_is_the_largest_change() -> None:
    frames = [np.full((64, 64, 3), 50, np.uint8)] * 4 + [np.full((64, 64, 3), 152, np.uint8)] * 4
    metrics = _watched(frames)
    assert metrics.largest_change == pytest.approx(102 / 255)
    assert metrics.temporal_flicker == pytest.approx(1.0 - 102 / 255 / 7)


def test_burnt_colours_by_hand() -> None:
    frame = np.zeros((2, 4, 3), np.uint8)
    frame[0, 0] = (255, 0, 128)  # one channel at either end
    frame[0, 2] = (255, 255, 255)
    assert burnt_share(frame) == 1.0
    frame[0, 2] = (200, 100, 50)
    assert burnt_share(frame) == 0.5
    assert burnt_share(np.zeros((4, 4, 3), np.uint8)) == 0.0  # black is dark, not burnt


def test_edges_and_saturation_by_hand() -> None:
    """Columns of 40 and 80: the gradient is 40 from column to column, the spread 20. Pure red is saturated."""
    stripes = np.tile(np.array([40, 80], np.int16), (4, 2))
    assert edge_density(stripes) == pytest.approx(40 / 20)
    assert edge_density(2 * stripes) == pytest.approx(40 / 20)  # light leaves it alone
    assert edge_density(np.full((4, 4), 9, np.int16)) == 0.0
    assert high_saturation(np.full((8, 8, 3), 100, np.uint8)) == 0.0
    assert high_saturation(np.full((8, 8, 3), (200, 50, 50), np.uint8)) == pytest.approx(0.75)
    assert high_saturation(np.zeros((8, 8, 3), np.uint8)) == 0.0


def test_gains_of_edges_and_saturation_compare_the_end_with_the_first_frame() -> None:
    grey, red = np.full((64, 64, 3), 100, np.uint8), np.full((64, 64, 3), (200, 50, 50), np.uint8)
    assert _watched([grey] * 6 + [red] * 2).saturation_gain == pytest.approx(0.75)
    coarse, fine = (_chequered(cells) for cells in (8, 32))
    assert _watched([coarse] * 6 + [fine] * 2).edge_gain == pytest.approx(np.log(31 / 7))  # edges across the picture
    assert _watched([coarse]).edge_gain == 0.0


def _chequered(cells: int) -> Pixels:
    squares = np.kron(np.indices((cells, cells)).sum(axis=0) % 2, np.ones((64 // cells, 64 // cells), np.int64))
    return np.repeat((100 + 50 * squares)[..., None], 3, axis=2).astype(np.uint8)


def test_figures_of_a_clip_by_hand() -> None:
    figures = clip_factors(replace(_GOOD, edge_gain=0.25, saturation_gain=0.125), (90.0, 50.0, 75.0), 30.0)
    assert list(figures) == list(FLAWLESS)
    assert figures == pytest.approx(
        {
            "subject_consistency": 0.95,
            "background_consistency": 0.97,
            "subject_drift": 0.05,
            "new_content": 0.0,
            "dynamic_degree": 0.5,
            "motion_speed": 0.2,
            "mean_change": 0.02,
            "largest_change": 0.03,
            "burnt_gain": 0.0,
            "edge_gain": 0.25,
            "saturation_gain": 0.125,
            "first_score": 0.9,
            "last_score": 0.75,
            "last_odds": np.log(3.0),
            "lowest_score": 0.5,
            "first_frame_noise": 1.0,
        }
    )
    extremes = [clip_factors(_GOOD, (score,), 50.0)["last_odds"] for score in (0.0, 100.0)]
    assert extremes == pytest.approx([-7.0, 7.0])


@pytest.mark.parametrize(
    ("frame_count", "indices"),
    [(1, (0,)), (5, (0, 1, 2, 3, 4)), (9, (0, 1, 2, 3, 5, 6, 7, 8)), (81, (0, 11, 23, 34, 46, 57, 69, 80))],
)
def test_samples_span_the_clip(frame_count: int, indices: tuple[int, ...]) -> None:
    assert sample_indices(frame_count) == indices


def _features(rows: list[list[list[float]]]) -> SampledFeatures:
    return SampledFeatures(np.array(rows, np.float32), 20, 20)


def test_likeness_by_hand() -> None:
    """Four patches; the box holds the first. It turns away from frame to frame; the others stay."""
    x, y = [1.0, 0.0], [0.0, 1.0]
    slanted = [0.6, 0.8]
    features = _features([[x, y, y, y], [slanted, y, y, y], [y, y, y, y], [y, y, y, y]])
    likeness = likeness_of(features, Box(0, 0, 10, 10))
    assert likeness is not None
    # to the first: 0.6, 0, 0; to the one before: 0.6, 0.8, 1
    assert likeness.subject_consistency == pytest.approx((0.6 + 0.4 + 0.5) / 3)
    assert likeness.background_consistency == pytest.approx(1.0)
    assert likeness.subject_drift == pytest.approx(1.0)  # the last quarter is the last frame
    assert likeness.new_content == pytest.approx(0.0)  # everything in it is found in the first frame, elsewhere
    turned = likeness_of(_features([[x, y, y, y], [slanted, y, y, x]]), Box(0, 0, 10, 10))
    assert turned is not None
    assert turned.new_content == pytest.approx(0.2 / 4)


def test_without_a_box_everything_is_the_subject() -> None:
    x = [1.0, 0.0]
    likeness = likeness_of(_features([[x] * 4, [x] * 4]), None)
    assert likeness == Likeness(1.0, None, 0.0)
    assert likeness_of(_features([[x] * 4]), None) is None


def _report(prompt: str, score: float = 90.0) -> MatchReport:
    plan = ClipPlan(VideoSpec(frame_count=17, frame_rate=4.0))
    return replace(FakeEngine().score_match(Image(png(64, 64)), prompt, plan), score=score)


def _circumstances(
    prompt: str = "A red fox slowly turns its head to the left", score: float = 90.0, guidance_scale: float = 3.5
) -> DiagnosisInput:
    return DiagnosisInput(_report(prompt, score), guidance_scale, 3.5, 4.25, 40.0, (score, score))


def test_a_good_clip_has_neither_symptoms_nor_remedies() -> None:
    diagnosis = diagnose(_GOOD, _circumstances())
    assert (diagnosis.symptoms, diagnosis.remedies) == ((), ())


@pytest.mark.parametrize(
    ("metrics", "circumstances", "kind"),
    [
        (replace(_GOOD, largest_change=0.4), _circumstances(), SymptomKind.SCENE_CUT),
        (replace(_GOOD, likeness=Likeness(0.7, 0.9, 0.3)), _circumstances(), SymptomKind.SUBJECT_DRIFT),
        (_GOOD, replace(_circumstances(), frame_scores=(90.0, 80.0, 60.0)), SymptomKind.MATCH_LOSS),
        (replace(_GOOD, dynamic_degree=0.1), _circumstances(), SymptomKind.FROZEN),
        (replace(_GOOD, burnt_gain=0.1), _circumstances(), SymptomKind.BURNT_COLOURS),
        (_GOOD, replace(_circumstances(), first_frame_psnr_db=15.0), SymptomKind.FIRST_FRAME),
        (_GOOD, _circumstances(score=20.0), SymptomKind.POOR_MATCH),
    ],
)
def test_each_symptom_alone(metrics: ClipMetrics, circumstances: DiagnosisInput, kind: SymptomKind) -> None:
    diagnosis = diagnose(metrics, circumstances)
    assert [item.kind for item in diagnosis.symptoms] == [kind]
    assert {item.kind for item in diagnosis.remedies} == set(CLIP_REMEDIES)


@pytest.mark.parametrize(
    "prompt",
    ["A red fox on a rock", "A red fox on a rock stays still, the light fades", "岩石上的红狐狸静止不动，天色变暗"],
)
def test_a_clip_that_rests_as_asked_is_not_frozen(prompt: str) -> None:
    assert diagnose(replace(_GOOD, dynamic_degree=0.0), _circumstances(prompt)).symptoms == ()


def test_flicker_is_change_without_motion() -> None:
    still = "A red fox on a rock"  # asks for no action
    metrics = replace(_GOOD, dynamic_degree=0.0, temporal_flicker=0.9, largest_change=0.1)
    assert [item.kind for item in diagnose(metrics, _circumstances(still)).symptoms] == [SymptomKind.FLICKER]


@pytest.mark.parametrize(
    ("metrics", "circumstances", "first"),
    [
        (replace(_GOOD, dynamic_degree=0.0), _circumstances(score=20.0), RemedyKind.MATCH),
        (
            replace(_GOOD, likeness=Likeness(0.7, 0.9, 0.3)),
            _circumstances("A dolphin slowly turns its head to the left"),
            RemedyKind.MATCH,
        ),
        (
            replace(_GOOD, likeness=Likeness(0.7, 0.9, 0.3)),
            _circumstances("A fox jumps, then runs, then sits down, then barks, then turns its head"),
            RemedyKind.SHORTEN,
        ),
        (replace(_GOOD, dynamic_degree=0.0), _circumstances("A red fox moves"), RemedyKind.SHORTEN),
        (replace(_GOOD, likeness=Likeness(0.7, 0.9, 0.3)), _circumstances(), RemedyKind.PICTURE),  # a blurred one
        (replace(_GOOD, burnt_gain=0.2), _circumstances(guidance_scale=9.0), RemedyKind.GUIDANCE),
    ],
)
def test_the_remedy_to_try_first(metrics: ClipMetrics, circumstances: DiagnosisInput, first: RemedyKind) -> None:
    assert diagnose(metrics, circumstances).remedies[0].kind is first


def test_a_chinese_sentence_is_answered_in_chinese() -> None:
    circumstances = _circumstances("一只海豚缓缓向左转头", score=10.0)
    assert circumstances.language is Language.ZH
    diagnosis = diagnose(_GOOD, circumstances)
    assert diagnosis.symptoms[0].message == "图片与提示词本来就不匹配（10 分）。"
    assert diagnosis.remedies[0].message == "让提示词与图片匹配（目前 10 分）：写图中真正有的内容。"


def test_guidance_is_lowered_to_the_models_own() -> None:
    diagnosis = diagnose(replace(_GOOD, burnt_gain=0.2), _circumstances(guidance_scale=9.0))
    assert diagnosis.remedies[0].message == "Lower the guidance scale from 9 to 3.5."
