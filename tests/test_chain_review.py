"""Symptoms and remedies of chains, from seams, drift and the diagnoses of segments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.analysis.diagnosis.clip_watch import ClipWatch
from engine.analysis.diagnosis.returns import ask_for_return
from engine.api.chain import Seam, SegmentEnd
from engine.api.diagnosis import ClipMetrics, Diagnosis, Likeness, Remedy, RemedyKind, Symptom, SymptomKind
from engine.api.events import JobDone, SegmentDone
from engine.api.match_report import MatchReport
from engine.api.prompt_report import Language
from engine.bundle.diagnosis_spec import DiagnosisSpec
from engine.matching.chain_review import ChainReview, review_chain
from engine.matching.review import review_clip
from engine.testing.fake_match import fake_match_report

_METRICS = ClipMetrics(0.5, 0.2, 0.98, 0.03, 0.0, Likeness(0.95, 0.97, 0.05))
_PROMPT = "A red fox walks to the left"
_CALM = Seam(12, 0.005, 0.004, 0.002, 0.002)
_FAILED = Diagnosis(
    (Symptom(SymptomKind.FROZEN, "Hardly anything moves."),),
    (Remedy(RemedyKind.SHORTEN, "One action."), Remedy(RemedyKind.MATCH, "Name the fox.")),
    _METRICS,
)


def _end(angle: float = 0.0, first: int = 0) -> SegmentEnd:
    vectors = np.tile(np.array([np.cos(angle), np.sin(angle)], np.float32), (4, 1))
    return SegmentEnd((), sample_indices=tuple(range(first, first + 12, 3)), subject=vectors, content=vectors)


def _segment(
    number: int,
    *,
    seam: Seam = _CALM,
    angle: float = 0.0,
    score: float = 90.0,
    diagnosis: Diagnosis = Diagnosis((), (), _METRICS),
    frame_count: int = 12,
) -> SegmentDone:
    report = replace(fake_match_report(_PROMPT, 64, 64, []), score=score)
    done = JobDone({}, 1.0, 0.5, 0, 40.0, match_report=report, warnings=(), diagnosis=diagnosis)
    first = 12 * (number - 1)
    return SegmentDone(number, first, frame_count, done, None if number == 1 else seam, _end(angle, first))


def _review(segments: Sequence[SegmentDone], prompt: str = _PROMPT) -> ChainReview:
    return review_chain(segments, [prompt] * len(segments))


def _kinds(review: ChainReview) -> list[SymptomKind]:
    return [item.kind for item in review.diagnosis.symptoms]


def test_a_clean_chain_has_neither_symptoms_nor_remedies() -> None:
    review = _review([_segment(1), _segment(2), _segment(3)])
    assert (review.diagnosis.symptoms, review.diagnosis.remedies) == ((), ())
    assert review.drift.subject_consistency == pytest.approx(1.0)
    assert review.drift.loop_back == 0.0


def test_a_bad_match_alone_is_no_symptom() -> None:
    assert _review([_segment(1), _segment(2, score=10.0)]).diagnosis.remedies == ()


@pytest.mark.parametrize(
    ("segments", "kind", "words"),
    [
        (
            [_segment(1), _segment(2), _segment(3, seam=replace(_CALM, frame_index=24, motion_jump=0.09))],
            SymptomKind.SEAM_JUMP,
            ["segment 3", "frame 24", "9.0 %", "0.4 %"],
        ),
        (
            [_segment(1), _segment(2, seam=replace(_CALM, colour_shift=0.06)), _segment(3)],
            SymptomKind.COLOUR_SHIFT,
            ["segment 2", "frame 12", "6.0 %", "0.2 %"],
        ),
        ([_segment(1), _segment(2, angle=0.6), _segment(3)], SymptomKind.LOOP_BACK, ["14.0 %"]),
        ([_segment(1), _segment(2, angle=0.6), _segment(3, angle=1.0)], SymptomKind.SUBJECT_DRIFT, ["46.0 %"]),
    ],
)
def test_each_symptom_of_a_whole_chain(segments: list[SegmentDone], kind: SymptomKind, words: list[str]) -> None:
    review = _review(segments)
    assert _kinds(review) == [kind]
    message = review.diagnosis.symptoms[0].message
    assert all(word in message for word in words), message
    assert review.diagnosis.remedies[0].kind is RemedyKind.SHORTER_CHAIN


def test_a_seam_is_judged_by_what_happens_inside_the_segments() -> None:
    """Twice what the clip does anyway is no jump; the worst of several seams is named."""
    wild = replace(_CALM, motion_jump=0.08, motion_jump_inside=0.04, colour_shift=0.08, colour_shift_inside=0.04)
    assert _kinds(_review([_segment(1), _segment(2, seam=wild)])) == []
    jumps = [replace(_CALM, motion_jump=jump) for jump in (0.05, 0.09, 0.07)]
    review = _review([_segment(1), *(_segment(2 + index, seam=seam) for index, seam in enumerate(jumps))])
    assert _kinds(review) == [SymptomKind.SEAM_JUMP]
    assert "segment 3" in review.diagnosis.symptoms[0].message


def test_a_bundle_has_thresholds_of_its_own() -> None:
    spec = DiagnosisSpec(seam_jump_above=0.001, seam_jump_factor=1.0)
    review = review_chain([_segment(1), _segment(2)], [_PROMPT] * 2, spec)
    assert _kinds(review) == [SymptomKind.SEAM_JUMP]
    early = DiagnosisSpec().as_dict()
    chain_fields = {name for name in early if name.startswith(("seam_", "colour_", "loop_", "chain_"))}
    assert len(chain_fields) == 6
    assert DiagnosisSpec.from_dict({k: v for k, v in early.items() if k not in chain_fields}) == DiagnosisSpec()


@pytest.mark.parametrize(
    "prompt",
    [
        "A cat walks to the door and comes back",
        "The boat sails out and returns to the pier",
        "A ball bounces on the floor",
        "A dolphin leaps up and comes down",
        "A man leans left, then goes slowly back again",
        "A girl waves her hand",
        "小猫走出去又回来",
        "小船返回码头",
        "一只小猫高高跳起又落下",
    ],
)
def test_a_return_that_was_asked_for_is_no_symptom(prompt: str) -> None:
    assert ask_for_return([_PROMPT, prompt])
    assert _kinds(_review([_segment(1), _segment(2, angle=0.6), _segment(3)], prompt)) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("A red car rolls to the right.", "A red car rolls to the left."),
        ("A fish sinks", "The fish rises slowly"),
        ("The bird flies into the distance", "The bird comes closer"),
        ("She opens her eyes", "She closes her eyes"),
        ("小猫向左走", "小猫向右走"),
        ("红色的车远去", "红色的车越来越近"),
    ],
)
def test_the_opposite_of_an_earlier_motion_is_a_return(before: str, after: str) -> None:
    assert ask_for_return([before, after])
    assert ask_for_return([after, "It stays still", before])
    assert not ask_for_return([before, before])
    assert not ask_for_return([after, after])


@pytest.mark.parametrize(
    "prompt",
    [
        "A cat with a white back walks in the background",
        "A boat sails over the waves past the rocks",
        "一只橙色的小猫向左走",
    ],
)
def test_other_sentences_ask_for_no_return(prompt: str) -> None:
    assert not ask_for_return([prompt])


def test_symptoms_of_segments_are_named_once_with_their_segments() -> None:
    review = _review([_segment(1), _segment(2, diagnosis=_FAILED), _segment(3, diagnosis=_FAILED)])
    assert review.diagnosis.symptoms == (Symptom(SymptomKind.FROZEN, "Segment 2, 3: Hardly anything moves."),)
    shorten = next(item for item in review.diagnosis.remedies if item.kind is RemedyKind.SHORTEN)
    assert shorten.message == "Segment 2: One action."


def test_symptoms_of_the_chain_come_first_and_hide_those_of_segments() -> None:
    drifting = replace(_FAILED, symptoms=(Symptom(SymptomKind.SUBJECT_DRIFT, "It changes."), *_FAILED.symptoms))
    jump = replace(_CALM, motion_jump=0.09)
    review = _review([_segment(1), _segment(2, seam=jump, angle=1.0, diagnosis=drifting)])
    assert _kinds(review) == [SymptomKind.SEAM_JUMP, SymptomKind.SUBJECT_DRIFT, SymptomKind.FROZEN]
    assert "It changes." not in review.diagnosis.symptoms[1].message


def test_a_later_segment_needs_another_sentence_instead_of_a_match_with_the_picture() -> None:
    first = _review([_segment(1, diagnosis=_FAILED), _segment(2)]).diagnosis.remedies
    later = _review([_segment(1), _segment(2, diagnosis=_FAILED)]).diagnosis.remedies
    assert {item.kind for item in first} == {RemedyKind.SHORTEN, RemedyKind.MATCH}
    assert {item.kind for item in later} == {RemedyKind.SHORTEN, RemedyKind.OTHER_STAGE}


def test_the_segment_whose_sentence_matches_least_gets_another_one() -> None:
    segments = [_segment(1, score=5.0), _segment(2, score=60.0), _segment(3, score=20.0, diagnosis=_FAILED)]
    remedy = _review(segments).diagnosis.remedies[0]
    assert remedy.kind is RemedyKind.OTHER_STAGE
    assert "segment 3" in remedy.message
    assert "score 20" in remedy.message


def test_messages_are_in_the_language_of_the_first_sentence() -> None:
    segments = [_segment(1), _segment(2, seam=replace(_CALM, motion_jump=0.09))]
    report = segments[0].done.match_report
    assert report is not None
    prompt_report: Any = SimpleNamespace(language=Language.ZH)
    chinese = replace(segments[0].done, match_report=replace(report, prompt_report=prompt_report))
    review = _review([replace(segments[0], done=chinese), segments[1]])
    assert "第 2 段开头（第 12 帧）" in review.diagnosis.symptoms[0].message
    assert "第 2 段" in review.diagnosis.remedies[0].message


def test_metrics_are_means_over_the_frames() -> None:
    moving = replace(_METRICS, dynamic_degree=1.0, largest_change=0.2, likeness=Likeness(0.8, None, 0.2))
    segments = [_segment(1), _segment(2, frame_count=4, diagnosis=Diagnosis((), (), moving))]
    metrics = _review(segments).diagnosis.metrics
    assert metrics.dynamic_degree == pytest.approx((12 * 0.5 + 4 * 1.0) / 16)
    assert metrics.largest_change == 0.2
    assert metrics.likeness is not None
    assert metrics.likeness.subject_consistency == pytest.approx((12 * 0.95 + 4 * 0.8) / 16)
    assert metrics.likeness.background_consistency == pytest.approx(0.97)
    plain = _segment(1, diagnosis=Diagnosis((), (), replace(_METRICS, likeness=None)))
    assert _review([plain]).diagnosis.metrics.likeness is None


def test_a_segment_without_a_diagnosis_is_refused() -> None:
    bare = replace(_segment(1), done=replace(_segment(1).done, diagnosis=None))
    with pytest.raises(ValueError, match="segment 1 has no diagnosis"):
        _review([bare])


class _Scorer:
    """Scores 90 for every picture. The features of each patch are the picture's mean colour."""

    def features(self, _: Any, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        colours = np.stack([picture.mean(axis=(0, 1)) for picture in pictures])
        unit = colours / np.linalg.norm(colours, axis=1, keepdims=True)
        return np.repeat(unit[:, None], 16, axis=1).astype(np.float32)

    def score(self, _: Any, __: Any, prompt: str) -> MatchReport:
        return replace(fake_match_report(prompt, 64, 64, []), score=90.0)


def test_frames_of_a_segment_are_numbered_through() -> None:
    watch = ClipWatch(3, 4.0)
    for red in (60, 80, 100):
        watch.add(np.full((64, 64, 3), (red, 0, 100), np.uint8))
    settings = SimpleNamespace(width_px=64, height_px=64, guidance_scale=3.5, frame_count=5, frame_rate=4.0)
    job: Any = SimpleNamespace(settings=settings, prompt=_PROMPT)
    scorer: Any = _Scorer()
    execution: Any = None
    facts: dict[str, Any] = {"subject": None, "first_frame_psnr_db": 40.0, "default_guidance_scale": 3.5, "spec": None}
    report = fake_match_report(_PROMPT, 64, 64, [])
    review = review_clip(watch, job, scorer, execution, report=report, first_frame_index=17, **facts)
    assert [item.frame_index for item in review.frame_matches] == [17, 18, 19]
    assert review.vectors is not None
    assert review.vectors.indices == (17, 18, 19)
    assert review.vectors.subject.shape == (3, 3)
    assert review.vectors.content.shape == (3, 16 * 3)
    assert review.vectors.subject[0] @ review.vectors.subject[2] == pytest.approx(
        (60 * 100 + 100 * 100) / np.hypot(60, 100) / np.hypot(100, 100), abs=1e-6
    )
    assert review_clip(watch, job, None, execution, report=None, first_frame_index=17, **facts).vectors is None
