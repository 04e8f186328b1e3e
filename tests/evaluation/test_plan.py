"""Plans: what a TOML file may say, the arms that follow from it, and the plan that the project ships."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.errors import EvaluationError
from evaluation.plan.model import PictureChange, Plan, Sampling
from evaluation.plan.reading import RunPlan, keep_run_plan, read_plan, read_run_plan

_SHIPPED = Path("evaluation/plans/pocket.toml")
_ARM = '[[arm]]\nid = "matched"\ngroup = "sentence"\ntitle = "fits"\n'
_HEAD = 'name = "small"\nworld = "pocket"\n'


def _run_plan(plan: Plan, digest: str = "0" * 64) -> RunPlan:
    return RunPlan(plan=plan, bundle_name="a", bundle_digest=digest, default_guidance_scale=1.5, default_step_count=20)


def test_the_shipped_plan_has_every_arm_of_the_article() -> None:
    plan = read_plan(_SHIPPED)
    assert len(plan.arm) >= 20
    assert min(plan.count_of(arm) for arm in plan.arm) >= 100
    scales = [arm.sampling.guidance_scale for arm in plan.arm if arm.group == "guidance"]
    assert scales == [1, 2, 3, 5, 7, 8, 10, 12]
    assert [arm.sampling.step_count for arm in plan.arm if arm.group == "steps"] == [4, 8, 12, 40]
    assert [arm.picture.size for arm in plan.arm if arm.picture.size is not None] == [0.1, 0.2, 0.3, 0.45]
    assert [arm.picture.jpeg_quality for arm in plan.arm if arm.picture.jpeg_quality] == [10, 30, 60]


def test_every_faulty_arm_of_the_shipped_plan_is_made_again_with_its_remedy_and_with_a_new_seed() -> None:
    plan = read_plan(_SHIPPED)
    again = {arm.id for arm in plan.remedy_arms()}
    for arm in plan.arm:
        if arm.right_remedy is not None:
            assert f"{arm.id}+seed" in again
            assert {f"{arm.id}+{arm.right_remedy}", f"{arm.id}+match"} & again, arm.id


def test_an_arm_that_makes_clips_again_lacks_what_its_remedy_undoes() -> None:
    plan = read_plan(_SHIPPED)
    base, arm, other = (plan.arm_of(name) for name in ("guidance_8", "guidance_8+guidance", "guidance_8+seed"))
    assert (arm.redo_of, arm.remedy, arm.group) == ("guidance_8", "guidance", "remedy")
    assert (arm.sampling, other.sampling) == (Sampling(), base.sampling)
    assert plan.arm_of("size_10+picture").picture == PictureChange()
    assert plan.arm_of("vague+match").sentence == "matched"
    assert [plan.base_of(item) for item in (arm, base)] == [base, base]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (_HEAD, "arm: Field required"),
        (_HEAD + _ARM + _ARM, "arm id 'matched' occurs twice"),
        ('name = "small"\n' + _ARM, 'state either world = "pocket" or pairs = "FILE.jsonl"'),
        (_HEAD + 'pairs = "pairs.jsonl"\n' + _ARM, "state either world"),
        (_HEAD + _ARM + 'sentence = "nonsense"\n', "arm.0.sentence: Input should be 'matched'"),
        (_HEAD + _ARM + "sampling = { guidance_scale = 0.5 }\n", "arm.0.sampling.guidance_scale: Input should be"),
        (_HEAD + _ARM + "sampling = { guidance = 5 }\n", "arm.0.sampling.guidance: Extra inputs are not permitted"),
        (_HEAD + _ARM + 'compare_with = "other"\n', "there is no arm 'other'"),
        (_HEAD + _ARM + '[[remedy]]\nof = ["other"]\nremedies = ["seed"]\n', "there is no arm 'other'"),
        (_HEAD + "arm = [", "is no TOML file"),
    ],
)
def test_a_wrong_plan_is_refused_by_the_name_of_its_field(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(EvaluationError) as caught:
        read_plan(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_a_missing_plan_is_named(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"cannot read the plan .*nowhere\.toml: No such file"):
        read_plan(tmp_path / "nowhere.toml")


def test_a_folder_keeps_to_its_plan_and_its_bundle(tmp_path: Path) -> None:
    plan = read_plan(_SHIPPED)
    keep_run_plan(tmp_path / "run", _run_plan(plan))
    keep_run_plan(tmp_path / "run", _run_plan(plan))
    assert read_run_plan(tmp_path / "run") == _run_plan(plan)
    with pytest.raises(EvaluationError, match="holds the clips of another bundle; name another folder"):
        keep_run_plan(tmp_path / "run", _run_plan(plan, "1" * 64))
    with pytest.raises(EvaluationError, match="holds the clips of another plan; name another folder"):
        keep_run_plan(tmp_path / "run", _run_plan(plan.model_copy(update={"seed": 15})))


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"holds no run: plan\.json is missing; run `python -m evaluation run`"):
        read_run_plan(tmp_path)
