"""The parts of a match score, each alone: batches, cache, heat maps, windows, queries, probabilities."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from engine.api.match_report import ClauseScore, Grounding
from engine.api.media import Box
from engine.api.prompt_report import ClauseKind, Language, Span
from engine.bundle.scorer_spec import LanguageContrastSpec
from engine.cache import BoundedCache
from engine.matching.batching import Batcher
from engine.matching.contrast import Contrasts, log_mean_exp
from engine.matching.grounding import grounding_of, heat_of, presence_of, region_of
from engine.matching.score import combined_score
from engine.matching.statements import Question, question_of
from engine.media.cropping import MAX_SCALE, propose_crops, subject_window

_ENGLISH = LanguageContrastSpec(
    language="en", subjects=(0, 1), scenes=(0, 1), subject_template="a photo of {}", actions=("runs", "sleeps")
)
_CHINESE = LanguageContrastSpec(language="zh", subjects=(0, 1), scenes=(0, 1), joint="", actions=("奔跑",))


class _Sets:
    """Contrast sets without rows."""

    can_judge_clauses = True

    def of(self, language: Language) -> _Sets:
        self.spec = _CHINESE if language is Language.ZH else _ENGLISH
        return self


def _question(prompt: str) -> Question:
    sets: Contrasts = _Sets()  # type: ignore[assignment]
    return question_of(prompt, sets)


def test_a_lone_caller_calls_at_once_with_its_own_rows() -> None:
    sizes: list[int] = []
    batcher = Batcher(lambda rows: (sizes.append(len(rows)) or rows * 2,), largest=4)  # type: ignore[func-returns-value]
    (result,) = batcher.run(np.arange(3))
    assert result.tolist() == [0, 2, 4]
    assert sizes == [3]


def test_rows_that_wait_go_together_and_more_than_fit_go_in_turns() -> None:
    entered, release, sizes = threading.Event(), threading.Event(), []

    def call(
        rows: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
    ) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.int64]]]:
        sizes.append(len(rows))
        entered.set()
        assert release.wait(60)
        return (rows + 100,)

    batcher = Batcher(call, largest=4)
    results: dict[int, list[int]] = {}
    first = threading.Thread(target=lambda: results.update({0: batcher.run(np.array([0]))[0].tolist()}))
    first.start()
    assert entered.wait(60)
    others = [
        threading.Thread(target=lambda n=n: results.update({n: batcher.run(np.array([n, -n, n]))[0].tolist()}))
        for n in (1, 2, 3)
    ]
    for thread in others:
        thread.start()
    while len(batcher._waiting) < 3:
        threading.Event().wait(0.001)
    release.set()
    for thread in [first, *others]:
        thread.join(60)
    assert results == {0: [100], 1: [101, 99, 101], 2: [102, 98, 102], 3: [103, 97, 103]}
    assert sizes == [1, 4, 4, 1]


def test_a_call_that_fails_fails_for_its_callers_only() -> None:
    def call(
        rows: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
    ) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.int64]]]:
        if rows[0] < 0:
            raise RuntimeError("no")
        return (rows,)

    batcher = Batcher(call, largest=2)
    with pytest.raises(RuntimeError, match="no"):
        batcher.run(np.array([-1, 2, 3]))
    assert batcher.run(np.array([5]))[0].tolist() == [5]


def test_the_cache_keeps_what_was_used_last() -> None:
    cache: BoundedCache[str, int] = BoundedCache(2)
    cache.keep({"a": 1, "b": 2})
    assert cache.find(["a"]) == {"a": 1}
    cache.keep({"c": 3})
    assert cache.find(["a", "b", "c"]) == {"a": 1, "c": 3}


def test_log_mean_exp_does_not_overflow() -> None:
    logits = np.array([[1000.0, 1000.0], [0.0, np.log(3.0)]])
    np.testing.assert_allclose(log_mean_exp(logits), [1000.0, np.log(2.0)])


def _blob(rows: slice, columns: slice, side: int = 8) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    margins = np.full((side, side), -9.0)
    margins[rows, columns] = 9.0
    return heat_of(margins.ravel(), 1.0, 0.0)


def test_a_warm_block_becomes_its_box() -> None:
    grounding = grounding_of(_blob(slice(2, 6), slice(4, 7)), 800, 400)
    assert grounding.box is not None
    box = grounding.box
    assert [box.left_px, box.top_px] == pytest.approx([400, 100], abs=8)
    assert [box.width_px, box.height_px] == pytest.approx([300, 200], abs=12)
    assert grounding.coverage == pytest.approx(0.5, abs=0.03)
    assert grounding.strict_coverage == pytest.approx(0.1875, abs=0.02)
    assert [grounding.center_x, grounding.center_y] == pytest.approx([5.5 / 8, 0.5], abs=0.01)
    assert grounding.center_offset == pytest.approx(5.5 / 8 - 0.5, abs=0.01)


def test_the_component_with_most_heat_wins() -> None:
    heat = np.maximum(_blob(slice(0, 1), slice(0, 2)), _blob(slice(4, 8), slice(4, 8)))
    region = region_of(heat)
    assert region is not None
    assert region.left == pytest.approx(0.5, abs=0.02)
    assert region.bottom == 1.0


def test_nothing_warm_is_nowhere() -> None:
    heat = _blob(slice(0, 0), slice(0, 0))
    assert region_of(heat) is None
    assert presence_of(heat) < 0.01
    grounding = grounding_of(heat, 64, 64)
    assert (grounding.box, grounding.coverage, grounding.center_offset) == (None, 0.0, 0.0)
    (crop,) = propose_crops(64, 32, grounding, [(16, 16)])
    assert crop.crop == Box(16, 0, 32, 32)


def test_one_warm_patch_alone_has_a_box() -> None:
    region = region_of(_blob(slice(3, 4), slice(3, 4)))
    assert region is not None
    assert region.left < 3.5 / 8 < region.right
    assert presence_of(_blob(slice(3, 4), slice(3, 4))) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("size", [(480, 480), (480, 720), (832, 480)], ids=str)
@pytest.mark.parametrize("seed", range(20))
def test_windows_are_of_the_aspect_inside_and_around_the_subject(size: tuple[int, int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    width, height = (int(side) for side in rng.integers(40, 3000, 2))
    left, top = int(rng.integers(0, width - 10)), int(rng.integers(0, height - 10))
    box = Box(left, top, int(rng.integers(5, width - left)), int(rng.integers(5, height - top)))
    center = (box.left_px + box.width_px * 0.4, box.top_px + box.height_px * 0.55)
    crop = subject_window(width, height, box, center, size)
    assert crop.left_px >= 0
    assert crop.top_px >= 0
    assert crop.left_px + crop.width_px <= width
    assert crop.top_px + crop.height_px <= height
    assert crop.height_px == pytest.approx(crop.width_px * size[1] / size[0], abs=1)
    largest = min(width, height * size[0] / size[1])
    assert crop.width_px >= min(round(largest), round(size[0] / MAX_SCALE)) - 1  # not enlarged where there are pixels
    (proposal,) = propose_crops(
        width, height, Grounding((), box, 0.0, 0.0, center[0] / width, center[1] / height, 0.0), [size]
    )
    if box.width_px <= crop.width_px and box.height_px <= crop.height_px:
        assert proposal.subject_share == 1.0
    assert 0.0 < proposal.subject_share <= 1.0


def test_a_window_holds_the_margin() -> None:
    crop = subject_window(1000, 1000, Box(400, 400, 100, 200), (450.0, 500.0), (32, 32))
    assert crop == Box(334, 384, 232, 232)


def test_each_clause_asks_its_own_sentences() -> None:
    question = _question("A red sailing boat on the lake sails to the left and sinks, the light fades")
    by_kind = {item.clause.kind: item for item in question.statements}
    assert set(by_kind) == {ClauseKind.SUBJECT, ClauseKind.ACTION, ClauseKind.ENVIRONMENT}
    assert by_kind[ClauseKind.SUBJECT].text == "a photo of A red sailing boat"
    assert by_kind[ClauseKind.ENVIRONMENT].text == "on the lake"
    actions = [item for item in question.statements if item.clause.kind is ClauseKind.ACTION]
    assert [item.text for item in actions] == [
        "a photo of A red sailing boat sails to the left",
        "a photo of A red sailing boat sails to the left and sinks",  # a later stage comes after the first
    ]
    assert actions[0].others == ("a photo of a sailing boat runs", "a photo of a sailing boat sleeps")
    assert actions[0].other_base == "a photo of a sailing boat"


def test_a_verb_that_looks_like_a_noun_is_no_thing() -> None:
    assert [noun.text for _, noun, _ in _question("A boat sails to the left").things] == ["boat"]
    assert [noun.text for _, noun, _ in _question("A cat jumps over a car").things] == ["cat", "car"]
    assert [noun.text for _, noun, _ in _question("一只猫跳过汽车").things] == ["猫", "汽车"]


@pytest.mark.parametrize("prompt", ["", "!!!", "the light fades", "x" * 2000, "镜头推近"])
def test_where_no_clause_can_be_judged_the_whole_sentence_is(prompt: str) -> None:
    question = _question(prompt)
    assert question.texts[0] == prompt
    if not any(item.clause.kind is ClauseKind.SUBJECT for item in question.statements):
        assert question.texts == [prompt]


def _clause(kind: ClauseKind, weight: float, gated: float | None) -> ClauseScore:
    return ClauseScore(kind, Span(0, 1), "x", Language.EN, 0, 0.0, gated, gated, weight)


def test_the_score_is_the_weighted_geometric_mean() -> None:
    clauses = [_clause(ClauseKind.SUBJECT, 0.5, 0.64), _clause(ClauseKind.ACTION, 0.5, 0.25)]
    assert combined_score([*clauses, _clause(ClauseKind.CAMERA, 0.0, None)]) == pytest.approx(40.0)
    assert combined_score([_clause(ClauseKind.SUBJECT, 0.5, 0.0)]) == pytest.approx(0.01)


def test_pocket_has_the_scorer_that_its_figures_are_of() -> None:
    """The targets of the match score, as they were measured on pairs that neither training nor fit had seen."""
    import json

    figures = json.loads(Path("pocket/model/scorer_evaluation.json").read_text(encoding="utf-8"))
    for mismatch in ("subject", "environment", "action"):
        for language in ("en", "zh"):
            assert figures["area_under_curve"][f"{mismatch} {language}"] >= 0.97
    assert figures["clauses"]["all"]["expected_calibration_error"] <= 0.05
    assert figures["grounding"]["overlap_share"] >= 0.9
    assert figures["grounding"]["centre_share"] >= 0.9
