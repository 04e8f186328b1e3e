"""The command on the embedded bundle: a run, going on with it, judging kept clips again, refusals."""

from __future__ import annotations

import fcntl
import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from evaluation.__main__ import main
from evaluation.running.kept_clips import clip_path
from tests.evaluation.clips import clips_of

_PLAN = """
name = "small"
world = "pocket"
seed = 3
count = 1

[[arm]]
id = "matched"
group = "sentence"
title = "fits"
sampling = { step_count = 2 }

[[arm]]
id = "crowded"
group = "actions"
title = "four actions"
sentence = "too_many_actions"
right_remedy = "shorten"
sampling = { step_count = 2 }

[[remedy]]
of = ["crowded"]
remedies = ["shorten"]
"""
_PAIRS = """
name = "pairs"
pairs = "pairs.jsonl"

[[arm]]
id = "matched"
group = "sentence"
title = "fits"
"""


def _run(plan: Path, out: Path, *options: str) -> int:
    return main(["run", "--bundle", "pocket/model", "--plan", str(plan), "--out", str(out), "--jobs", "1", *options])


def _bundle(folder: Path, **scorer: Any) -> Path:
    """The embedded bundle with other values of its scorer."""
    shutil.copytree("pocket/model", folder)
    manifest = json.loads(Path("pocket/model/bundle.json").read_text(encoding="utf-8"))
    manifest["scorer"] |= scorer
    (folder / "bundle.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plan") / "plan.toml"
    path.write_text(_PLAN, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def finished(plan: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "out"
    assert _run(plan, folder, "--keep-clips") == 0
    return folder


def test_a_run_makes_every_clip_and_the_failed_ones_again(finished: Path) -> None:
    clips = clips_of(finished)
    assert clips["crowded", 0]["truth"]["motion"] is False  # no clip shows four actions
    assert set(clips) == {("matched", 0), ("crowded", 0), ("crowded+shorten", 0)}
    assert clips["crowded+shorten", 0]["prompt"] == clips["matched", 0]["prompt"]
    assert all(clip["settings"]["step_count"] == 2 for clip in clips.values())
    outcomes = (finished / "outcomes.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["arm"] for line in outcomes] == ["matched", "crowded"]


def test_a_remedy_that_gives_a_matched_clip_takes_that_clip(finished: Path) -> None:
    clips = clips_of(finished)
    assert clips["crowded+shorten", 0] == clips["matched", 0] | {"arm": "crowded+shorten"}
    frames = [clip_path(finished / "clips", key).read_bytes() for key in (("matched", 0), ("crowded+shorten", 0))]
    assert frames[0] == frames[1]


def test_a_run_goes_on_where_it_was_stopped_and_ends_with_the_sameclips_of(
    plan: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = (finished / "clips.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "clips.jsonl").write_text(lines[0] + lines[1][:50], encoding="utf-8")
    (tmp_path / "plan.json").write_bytes((finished / "plan.json").read_bytes())
    assert _run(plan, tmp_path) == 0
    assert clips_of(tmp_path) == clips_of(finished)
    assert (tmp_path / "outcomes.jsonl").read_bytes() == (finished / "outcomes.jsonl").read_bytes()
    assert "1 clips made, 1 left" in capsys.readouterr().err


@pytest.mark.walk
def test_kept_clips_are_judged_again_to_the_same_figures(finished: Path) -> None:
    before = clips_of(finished)
    assert main(["judge", str(finished), "--frames", "--truth", "--bundle", "pocket/model", "--jobs", "1"]) == 0
    assert clips_of(finished) == before


def test_fits_of_a_bundle_apply_to_the_figures_of_a_run(finished: Path, tmp_path: Path) -> None:
    for name in ("clips.jsonl", "plan.json"):
        (tmp_path / name).write_bytes((finished / name).read_bytes())
    errors = {"outcome_count": 300, "brier_score": 0.1, "calibration_error": 0.02}
    lack = {"name": "further_actions", "weight": -1.0}
    clip = {"offset": 1.0, "factors": [lack], "accept_from": 0.5, "area_under_curve": 0.9, **errors}
    bundle = _bundle(
        tmp_path / "bundle",
        success={"offset": 2.0, "factors": [lack], **errors},
        clip_success=clip,
        diagnosis={"low_chance_below": 0.5},
    )
    assert main(["judge", str(tmp_path), "--bundle", str(bundle)]) == 0
    matched, crowded = clips_of(tmp_path)["matched", 0], clips_of(tmp_path)["crowded", 0]
    further = crowded["pair_factors"]["further_actions"]
    assert further >= 3.0
    odds = [2.0, 1.0, 2.0 - further, 1.0 - further]
    told = [matched["chance"], matched["clip_chance"], crowded["chance"], crowded["clip_chance"]]
    assert told == pytest.approx([1 / (1 + math.exp(-item)) for item in odds], abs=1e-6)
    assert (matched["chance_basis"], matched["clip_factors"]) == (
        "measured",
        clips_of(finished)["matched", 0]["clip_factors"],
    )
    assert "low_chance" in crowded["symptoms"]
    assert "low_chance" not in matched["symptoms"]
    assert crowded["remedies"][0] == "shorten"


def test_a_bundle_without_fits_is_refused(finished: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for name in ("clips.jsonl", "plan.json"):
        (tmp_path / name).write_bytes((finished / name).read_bytes())
    bundle = _bundle(tmp_path / "bundle", success=None, clip_success=None)
    assert main(["judge", str(tmp_path), "--bundle", str(bundle)]) == 1
    assert "the bundle has no fits: run `python -m export.calibrate BUNDLE --outcomes FILE`" in capsys.readouterr().err


@pytest.mark.walk
def test_a_clip_that_was_not_kept_cannot_be_judged_again(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("clips.jsonl", "plan.json"):
        (tmp_path / name).write_bytes((finished / name).read_bytes())
    before = (tmp_path / "clips.jsonl").read_bytes()
    assert main(["judge", str(tmp_path), "--frames", "--bundle", "pocket/model", "--jobs", "1"]) == 1
    assert f"{clip_path(tmp_path / 'clips', ('matched', 0))} is missing" in capsys.readouterr().err
    assert (tmp_path / "clips.jsonl").read_bytes() == before


def test_two_runs_do_not_write_into_one_folder(plan: Path, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (finished / "clips.jsonl").open("a+b") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert _run(plan, finished) == 1
    assert f"another run writes into {finished}" in capsys.readouterr().err


def test_another_plan_does_not_go_on_in_the_folder(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.toml"
    other.write_text(_PLAN.replace("seed = 3", "seed = 4"), encoding="utf-8")
    assert _run(other, finished) == 1
    assert "holds the clips of another plan; name another folder with --out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("", "has no pair of the kind 'matched', which arm matched needs"),
        ('{"image": "a.png", "prompt": "A cat jumps."}\n', "line 1: arm: Field required"),
        (
            '{"image": "a.png", "prompt": "A cat.", "arm": "matched", "language": "en", "subject": "cat"}\n',
            "line 1: image: there is no file a.png beside pairs.jsonl",
        ),
        ("no json\n", "line 1: the line: Invalid JSON"),
    ],
)
def test_wrong_pairs_are_refused_by_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: str, message: str
) -> None:
    (tmp_path / "plan.toml").write_text(_PAIRS, encoding="utf-8")
    (tmp_path / "pairs.jsonl").write_text(lines, encoding="utf-8")
    assert _run(tmp_path / "plan.toml", tmp_path / "out") == 1
    assert message in capsys.readouterr().err


def test_a_drawn_fault_cannot_be_asked_of_photographs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "plan.toml").write_text(_PAIRS + "picture = { size = 0.1 }\n", encoding="utf-8")
    (tmp_path / "pairs.jsonl").write_text("", encoding="utf-8")
    assert _run(tmp_path / "plan.toml", tmp_path / "out") == 1
    assert "arm matched: picture.size can only be drawn, not put into a photograph" in capsys.readouterr().err
