"""Labels of clips by the truth, by ratings and by thresholds; the file of outcomes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluation.errors import EvaluationError
from evaluation.labels import label
from evaluation.outcomes import write_outcomes
from evaluation.plan.model import Plan
from evaluation.plan.reading import RunPlan
from evaluation.record import CLIPS_NAME, ClipRecord, Truth, read_records
from tests.evaluation.measured_run import clip


def truth(*, success: bool = True) -> Truth | None:
    """A truth in which all is right, or the subject is lost."""
    return clip("matched", 0, subject=success).truth


def record(arm: str = "matched", index: int = 0, told: Truth | None = None, **figures: float) -> ClipRecord:
    """A clip of an arm; ``figures`` replace those of a faultless pair and clip."""
    return clip(arm, index, truth=told, factors=figures)


_PLAN = RunPlan(
    plan=Plan.model_validate({
        "name": "test",
        "world": "pocket",
        "arm": [
            {"id": "matched", "group": "sentence", "title": "fits"},
            {"id": "guidance_8", "group": "guidance", "title": "8", "right_remedy": "guidance"},
        ],
        "remedy": [{"of": ["guidance_8"], "remedies": ["guidance"]}],
    }),
    bundle_name="a",
    bundle_digest="0" * 64,
    default_guidance_scale=1.5,
    default_step_count=20,
)  # fmt: skip
_PILOT = [record(index=index, subject_drift=index / 100, mean_change=0.01) for index in range(20)]


def test_the_truth_decides_where_it_is_known(tmp_path: Path) -> None:
    labels = label([record(told=truth()), record(index=1, told=truth(success=False))], tmp_path)
    assert (labels.source, labels.successes) == ("truth", {("matched", 0): True, ("matched", 1): False})


def test_thresholds_are_the_worst_twentieth_of_the_matched_clips(tmp_path: Path) -> None:
    limit = 0.19 * 0.95  # the 0.95 quantile of 0, 0.01, ..., 0.19
    below, above = record("a", 0, subject_drift=limit - 0.001), record("a", 1, subject_drift=limit + 0.001)
    labels = label([*_PILOT, below, above], tmp_path)
    assert labels.source == "thresholds"
    assert (labels.successes["a", 0], labels.successes["a", 1]) == (True, False)
    assert sum(labels.successes["matched", index] for index in range(20)) == 19


@pytest.mark.parametrize(("action", "success"), [(1.0, False), (0.0, True)], ids=["asked", "not asked"])
def test_a_clip_must_move_if_an_action_is_asked_for(tmp_path: Path, action: float, success: bool) -> None:
    still = record("a", 0, asked_motion=action, dynamic_degree=0.2)
    assert label([*_PILOT, still], tmp_path).successes["a", 0] is success


@pytest.mark.parametrize("figures", [{"background_consistency": 0.9}, {"mean_change": 0.02}, {"largest_change": 0.1}])
def test_each_fault_alone_fails_a_clip(tmp_path: Path, figures: dict[str, float]) -> None:
    assert label([*_PILOT, record("a", 0, None, **figures)], tmp_path).successes["a", 0] is False


def test_thresholds_need_matched_clips(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"19 clips of the arm `matched` are too few"):
        label(_PILOT[:19], tmp_path)


def test_ratings_replace_thresholds_and_unrated_clips_have_no_label(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text("clip,success\nmatched/0,1\nmatched/2,no\n", encoding="utf-8")
    labels = label(_PILOT, tmp_path)
    assert (labels.source, labels.successes) == ("ratings", {("matched", 0): True, ("matched", 2): False})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clip;success\nmatched/0;1\n", r"ratings\.csv: the first line must be `clip,success`"),
        ("clip,success\nmatched/99,1\n", r"ratings\.csv, line 2: this run has no clip 'matched/99'"),
        ("clip,success\nmatched,1\n", r"line 2: this run has no clip 'matched'"),
        ("clip,success\nmatched/0,1\nmatched/1,good\n", "line 3: success must be 1 or 0, not 'good'"),
        ("clip,success\nmatched/0\n", "line 2: success must be 1 or 0"),
        ("clip,success\n", "rates no clip; delete it"),
    ],
)
def test_wrong_ratings_are_refused_by_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "ratings.csv").write_text(text, encoding="utf-8")
    with pytest.raises(EvaluationError, match=message):
        label(_PILOT, tmp_path)


def test_outcomes_stand_in_the_order_of_the_plan_without_clips_that_were_made_again(tmp_path: Path) -> None:
    again = record("guidance_8+guidance", 1, truth())
    records = [record("guidance_8", 1, truth(success=False)), again, record("matched", 0, truth(), subject_drift=0.25)]
    lines = write_outcomes(tmp_path, _PLAN, records).read_text(encoding="utf-8").splitlines()
    first, second = map(json.loads, lines)
    assert (first["arm"], first["success"], first["is_matched"], first["right_remedy"]) == ("matched", True, True, None)
    assert first["factors"]["subject_drift"] == 0.25
    assert first["label_source"] == "truth"
    assert (second["arm"], second["success"], second["right_remedy"]) == ("guidance_8", False, "guidance")


def test_a_torn_last_line_is_left_out_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    line = record().model_dump_json() + "\n"
    (tmp_path / CLIPS_NAME).write_text(line + line[:40], encoding="utf-8")
    assert read_records(tmp_path) == [record()]
    (tmp_path / CLIPS_NAME).write_text(line + line.replace('"index":0', '"index":"x"'), encoding="utf-8")
    with pytest.raises(EvaluationError, match=r"clips\.jsonl, line 2: index: Input should be a valid integer"):
        read_records(tmp_path)
