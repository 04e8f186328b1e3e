"""``python -m evaluation.starter``: pictures, pairs and plans for a real checkpoint."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from engine.analysis.prompt.report import report_prompt
from evaluation.plan.reading import read_plan
from evaluation.starter import photographs
from evaluation.starter.__main__ import main
from evaluation.starter.lists import starter_pictures

# What the rules of the prompt report find in every sentence of an arm, on a clip of 5 s, and may find besides.
_FINDINGS = {
    "matched": set(),
    "wrong_subject": set(),
    "wrong_colour": set(),
    "wrong_scene": set(),
    "implausible_action": set(),
    "vague": {"W06"},
    "no_subject": {"W03"},
    "abstract": {"W09"},
    "actions_unordered": {"I07"},
    "actions_ordered": set(),
    "too_many_actions": {"W08"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("starter") / "set"
    assert main([str(folder)]) == 0
    return folder


def _pairs(folder: Path, name: str = "pairs.jsonl") -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").splitlines()]


def test_the_set_has_every_arm_in_both_languages_for_every_picture(folder: Path) -> None:
    pairs = _pairs(folder)
    counts = Counter((pair["arm"], pair["language"]) for pair in pairs)
    assert len(starter_pictures()) >= 24
    assert counts == {(arm, language): len(starter_pictures()) for arm in _FINDINGS for language in ("en", "zh")}
    assert len({(pair["image"], pair["prompt"]) for pair in pairs}) == len(pairs)


def test_pictures_are_as_large_as_a_real_checkpoint_needs(folder: Path) -> None:
    sizes = {}
    for pair in _pairs(folder):
        with Image.open(folder / pair["image"]) as picture:
            sizes[pair["subject"]] = (picture.format, picture.mode, picture.size)
    drawn = {picture.name: (480, 832) if picture.tall else (832, 480) for picture in starter_pictures()
             if not picture.name.startswith("photo-")}  # fmt: skip
    assert {name: size for name, (_, _, size) in sizes.items() if name in drawn} == drawn
    assert {(form, mode) for form, mode, _ in sizes.values()} == {("PNG", "RGB")}
    assert min(min(size) for _, _, size in sizes.values()) == 300


@pytest.mark.parametrize("arm", _FINDINGS)
def test_sentences_have_the_fault_of_their_arm_and_no_other(folder: Path, arm: str) -> None:
    prompts = [pair["prompt"] for pair in _pairs(folder) if pair["arm"] == arm]
    found = {prompt: {item.code for item in report_prompt(prompt, duration_seconds=5.0).findings} for prompt in prompts}
    # Rules count the environment after a pronoun as an action without order.
    allowed = {"I07"} if arm == "no_subject" else set()
    assert {prompt: codes for prompt, codes in found.items() if codes - allowed != _FINDINGS[arm]} == {}


def test_the_first_pairs_of_an_arm_show_every_picture_in_both_languages(folder: Path) -> None:
    count = len(starter_pictures())
    first = {arm: [pair for pair in _pairs(folder) if pair["arm"] == arm][:count] for arm in _FINDINGS}
    orders = {arm: [(pair["subject"], pair["language"]) for pair in pairs] for arm, pairs in first.items()}
    assert {subject for subject, _ in orders["matched"]} == {picture.name for picture in starter_pictures()}
    assert Counter(language for _, language in orders["matched"]) == {"en": 14, "zh": 13}
    assert all(order == orders["matched"] for order in orders.values())


@pytest.mark.parametrize("name", ["pilot", "starter", "article"])
def test_plans_are_valid_and_ask_for_no_more_pairs_than_there_are(folder: Path, name: str) -> None:
    plan = read_plan(folder / f"{name}.toml")
    assert plan.pairs is not None
    there = Counter(pair["arm"] for pair in _pairs(folder, plan.pairs))
    asked = {arm.id: (arm.count or plan.count, there[arm.sentence]) for arm in plan.arm}
    assert {arm: counts for arm, counts in asked.items() if counts[0] > counts[1]} == {}


def test_a_second_folder_differs_in_the_number_of_clips_alone(folder: Path, tmp_path: Path) -> None:
    assert main([str(tmp_path), "--clips", "5"]) == 0
    files = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    changed = [path.name for path in files if (tmp_path / path).read_bytes() != (folder / path).read_bytes()]
    assert (changed, len(files)) == (["pilot.toml", "starter.toml"], len(starter_pictures()) + 6)
    pilot, article = (read_plan(tmp_path / f"{name}.toml") for name in ("pilot", "article"))
    assert [pilot.count_of(arm) for arm in pilot.arm] == [5, 5]
    assert sum(article.count_of(arm) for arm in article.arm) == 11


def test_the_readme_names_source_and_licence_of_every_picture(folder: Path) -> None:
    text = (folder / "README.md").read_text(encoding="utf-8")
    rows = {line.split("`")[1]: line for line in text.splitlines() if line.startswith("| `") and ".png" in line}
    assert set(rows) == {picture.file_name for picture in starter_pictures()}
    licences = Counter(row.rsplit("|", 2)[1].strip() for row in rows.values())
    assert licences == {"public domain": 2, "CC0": 4, "Apache-2.0": len(rows) - 6}
    assert "海豚跃出海面，浪花四溅" in text


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main([str(tmp_path / "file")]) == 1
    assert f"cannot write {tmp_path / 'file'}" in capsys.readouterr().err


def test_a_missing_package_is_named_with_its_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    assert main([str(tmp_path / "set")]) == 1
    assert "scikit-image is not installed; install the evaluation's packages: pip install -e" in capsys.readouterr().err


def test_a_number_of_clips_beyond_the_pairs_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([str(tmp_path), "--clips", "55"])
    assert "an arm has 54 pairs" in capsys.readouterr().err


def test_every_photograph_of_the_list_is_in_the_wheel() -> None:
    listed = {picture.photograph for picture in starter_pictures()} - {None}
    assert listed == set(photographs.PHOTOGRAPHS)
