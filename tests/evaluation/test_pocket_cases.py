"""Cases of pocket's world: sentences of every kind, changed pictures, and the truth of drawn clips."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from PIL import Image as Pillow

from engine.analysis.prompt.report import report_prompt
from evaluation.plan.model import Arm, PictureChange, Plan, RemedyPlan, Sampling, SentenceKind
from evaluation.pocket.pictures import change_spec, picture_file
from evaluation.pocket.sentences import Told, tell
from evaluation.pocket.source import PocketSource
from evaluation.pocket.truth import judge
from evaluation.record import RemedyName
from pocket.world import ClipSpec, is_held_out, render_clip, render_picture, sample_spec

_CAT = sample_spec(14, held_out=True, subject="cat", action="moves_left", light="steady")
_KINDS: tuple[SentenceKind, ...] = get_args(SentenceKind)


def _plan(*arms: Arm, count: int = 106, remedies: tuple[RemedyPlan, ...] = ()) -> Plan:
    return Plan(name="test", world="pocket", seed=14, count=count, arm=arms, remedy=remedies)


def _arm(name: str = "matched", **changes: object) -> Arm:
    return Arm.model_validate({"id": name, "group": "sentence", "title": name, **changes})


def _judged(frames: np.ndarray, spec: ClipSpec, told: Told) -> tuple[bool, bool, bool, int]:
    truth = judge(frames, spec, told, 40.0, with_ceiling=False)
    return truth.subject, truth.motion, truth.scene, truth.actions_done


def test_an_arm_has_every_held_out_combination_in_both_languages() -> None:
    source = PocketSource(_plan(_arm()))
    cases = [source.case_of(_arm(), index) for index in range(106)]
    seen = {(case.pair, case.language) for case in cases}
    assert len(seen) == 106
    assert {language for _, language in seen} == {"en", "zh"}
    assert all(is_held_out(tuple(pair.split("/"))) for pair, _ in seen)  # type: ignore[arg-type]
    assert len({case.seed for case in cases}) == 106


def test_the_same_plan_gives_the_same_cases_and_another_seed_others() -> None:
    plan = _plan(_arm())
    assert PocketSource(plan).case_of(_arm(), 5) == PocketSource(plan).case_of(_arm(), 5)
    other = plan.model_copy(update={"seed": 15})
    assert PocketSource(other).case_of(_arm(), 5).picture != PocketSource(plan).case_of(_arm(), 5).picture


@pytest.mark.parametrize("kind", _KINDS)
def test_a_hundred_pairs_have_a_sentence_of_each_kind(kind: SentenceKind) -> None:
    arm = _arm(kind, sentence=kind)
    source = PocketSource(_plan(arm, count=100))
    assert len({source.case_of(arm, index).prompt for index in range(100)}) >= (6 if kind == "vague" else 60)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(("kind", "code"), [("vague", "W06"), ("abstract", "W09"), ("too_many_actions", "W08")])
def test_a_faulty_sentence_has_the_finding_of_its_fault(kind: SentenceKind, code: str, language: str) -> None:
    told = tell(_CAT, kind, language, 3)
    assert told is not None
    report = report_prompt(told.sentence, duration_seconds=4.25)
    assert code in {finding.code for finding in report.findings}


def test_actions_of_one_sentence_differ_and_two_of_them_are_no_opposites() -> None:
    for seed in range(20):
        two, four = tell(_CAT, "actions_ordered", "en", seed), tell(_CAT, "too_many_actions", "en", seed)
        assert two is not None
        assert four is not None
        assert two.actions[0] == "moves_left"
        assert two.actions[1] in {"jumps", "comes_closer", "goes_away"}
        assert len(set(four.actions)) == 4


def test_the_drawn_clip_of_a_pair_succeeds_and_that_of_another_action_does_not() -> None:
    told = tell(_CAT, "matched", "en", 1)
    assert told is not None
    assert _judged(render_clip(_CAT).frames, _CAT, told) == (True, True, True, 1)
    right = render_clip(replace(_CAT, action="moves_right")).frames
    assert _judged(right, _CAT, told)[1:] == (False, True, 0)


def test_another_subject_and_another_light_are_told() -> None:
    told = tell(_CAT, "matched", "en", 1)
    assert told is not None
    ball = replace(_CAT, subject="ball", colour="purple")
    assert _judged(render_clip(ball).frames, _CAT, told)[0] is False
    assert _judged(render_clip(replace(_CAT, light="fades")).frames, _CAT, told)[2] is False


def test_any_motion_does_for_a_vague_sentence_and_no_motion_does_not() -> None:
    told = tell(_CAT, "vague", "en", 1)
    assert told is not None
    assert _judged(render_clip(replace(_CAT, action="comes_closer")).frames, _CAT, told)[1] is True
    assert _judged(render_clip(replace(_CAT, action="stays")).frames, _CAT, told)[1] is False


def test_of_two_actions_the_ones_that_happen_count() -> None:
    told = Told("", ("moves_left", "jumps"), "steady", _CAT)
    assert _judged(render_clip(_CAT).frames, _CAT, told) == (True, False, True, 1)
    left, jump = render_clip(_CAT).frames, render_clip(replace(_CAT, action="jumps")).frames
    assert _judged(np.concatenate([jump[:-1], left]), _CAT, told) == (True, True, True, 2)


@pytest.mark.parametrize("change", [PictureChange(distractor=True), PictureChange(lettering="SALE 50")])
def test_an_addition_that_blurs_is_no_part_of_the_subject(change: PictureChange) -> None:
    spec = change_spec(_CAT, change, 1)
    told = tell(spec, "matched", "en", 1)
    assert told is not None
    frames = render_clip(spec).frames.copy()
    added = (render_picture(spec) != render_picture(_CAT)).any(axis=-1)
    assert 50 < added.sum() < 1200
    frames[:, added] = (frames[:, added] // 2) + 60
    assert _judged(frames, spec, told)[:2] == (True, True)


def test_a_stretched_picture_is_taller_and_a_cropped_one_larger() -> None:
    def extent(change: PictureChange) -> tuple[int, int]:
        clip = render_clip(change_spec(_CAT, change, 1))
        rows, columns = np.nonzero(clip.masks[0] > 0.5)
        return int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1

    (height, width), (tall, same), (larger, wider) = (
        extent(PictureChange()),
        extent(PictureChange(stretched=True)),
        extent(PictureChange(cropped=True)),
    )
    assert tall / height == pytest.approx(1.5, abs=0.1)
    assert abs(same - width) <= 1
    assert [larger / height, wider / width] == pytest.approx([1.5, 1.5], abs=0.1)


def test_a_jpeg_arm_sends_a_jpeg_file() -> None:
    small, large = (picture_file(_CAT, PictureChange(jpeg_quality=quality)) for quality in (10, 60))
    assert Pillow.open(io.BytesIO(small)).format == "JPEG"
    assert len(small) < len(large)


def test_remedies_change_what_they_name_and_nothing_else() -> None:
    base = _arm("wrong", sentence="wrong_subject", picture={"size": 0.2}, sampling={"guidance_scale": 8})
    kinds: tuple[RemedyName, ...] = ("match", "picture", "guidance", "seed")
    plan = _plan(base, remedies=(RemedyPlan(of=("wrong",), remedies=kinds),))
    source = PocketSource(plan)
    before = source.case_of(base, 4)
    match, picture, guidance, seed = (source.case_of(plan.arm_of(f"wrong+{kind}"), 4) for kind in kinds)
    assert replace(match, prompt=before.prompt) == before
    assert match.prompt != before.prompt
    assert replace(picture, picture=before.picture) == before
    assert picture.picture == source.case_of(_arm("matched"), 4).picture
    assert replace(guidance, sampling=before.sampling) == before
    assert guidance.sampling == Sampling()
    assert replace(seed, seed=before.seed) == before
    assert seed.seed != before.seed


def test_a_subject_that_fills_the_frame_leaves_no_scene() -> None:
    told = tell(_CAT, "matched", "en", 1)
    assert told is not None
    frames = render_clip(_CAT).frames.copy()
    frames[-1] = (255, 0, 255)
    truth = judge(frames, _CAT, told, 40.0, with_ceiling=False)
    assert (truth.scene_psnr_db, truth.scene, truth.subject) == (0.0, False, False)
