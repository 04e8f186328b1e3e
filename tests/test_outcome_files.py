"""Files of outcomes and the command that fits on them: refusals by line and field, what is written and what stays."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.analysis.diagnosis.measured_evidence import CLIP_REMEDIES
from engine.bundle.diagnosis_spec import DiagnosisSpec
from engine.bundle.folder import read_manifest
from engine.matching.score import logistic
from export.calibrate.__main__ import main
from export.calibrate.outcomes import read_outcomes
from export.errors import ExportError
from tests.synthetic_outcomes import GROUP_COUNT, synthetic_outcomes

_LINE = {"score": 50.0, "success": True}


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("{", "is not JSON"),
        ("[]", "the line: Input should be a valid dictionary"),
        ('{"score": 50}', "success: Field required"),
        ('{"score": 101, "success": true}', "score: Input should be less than or equal to 100"),
        ('{"score": 50, "success": 1}', "success: Input should be a valid boolean"),
        (
            '{"score": 50, "success": true, "factors": {"action": "high"}}',
            "factors.action: Input should be a valid number",
        ),
        (
            '{"score": 50, "success": true, "factors": {"action": NaN}}',
            "factors.action: Input should be a finite number",
        ),
        ('{"score": 50, "success": true, "factors": {"mood": 1}}', "factors.mood: no figure has this name; fit with"),
        ('{"score": 50, "success": true, "right_remedy": "luck"}', "right_remedy: Input should be 'match', 'shorten'"),
        ('{"score": 50, "success": true, "label_source": "taste"}', "label_source: Input should be 'truth'"),
    ],
)
def test_a_wrong_line_is_named_with_its_field(tmp_path: Path, line: str, fault: str) -> None:
    path = tmp_path / "outcomes.jsonl"
    path.write_text(f"{json.dumps(_LINE)}\n{line}\n", encoding="utf-8")
    with pytest.raises(ExportError) as error:
        read_outcomes(path)
    assert f"outcomes.jsonl, line 2: {fault}" in str(error.value)


def test_files_that_cannot_be_fitted_are_named(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.jsonl"
    with pytest.raises(ExportError, match=r"cannot read .*: No such file"):
        read_outcomes(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ExportError, match="is not text"):
        read_outcomes(path)
    path.write_text("\n", encoding="utf-8")
    with pytest.raises(ExportError, match="holds no outcomes"):
        read_outcomes(path)
    lines = [_LINE, _LINE | {"factors": {"score": 0.5, "action": 0.2}}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    with pytest.raises(ExportError, match="outcome 2: factors: 'action' is in some outcomes and missing in others"):
        read_outcomes(path)


def _bundle(tmp_path: Path) -> Path:
    return Path(shutil.copytree("pocket/model", tmp_path / "bundle"))


def _written(path: Path, lines: Iterable[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def test_outcomes_alone_fit_success_and_diagnosis(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle, figures_file = _bundle(tmp_path), tmp_path / "figures.json"
    before, _ = read_manifest(bundle)
    file = _written(tmp_path / "outcomes.jsonl", synthetic_outcomes())
    assert (
        main([str(bundle), "--outcomes", str(file), "--json", str(figures_file), "--plot", str(tmp_path / "p.svg")])
        == 0
    )
    after, _ = read_manifest(bundle)  # every digest still holds
    assert after.with_changes(scorer=None) == before.with_changes(scorer=None)
    assert before.scorer is not None
    assert after.scorer is not None
    success, clip = after.scorer.success, after.scorer.clip_success
    assert success is not None
    assert clip is not None
    fits = {"success": None, "clip_success": None, "diagnosis": DiagnosisSpec()}
    assert after.scorer.with_changes(**fits) == before.scorer.with_changes(**fits)
    assert (success.outcome_count, success.label_source, success.slope) == (4 * GROUP_COUNT, "truth", 0.0)
    assert clip.area_under_curve > 0.9
    assert 0.0 < clip.accept_from < 1.0

    figures = json.loads(figures_file.read_text(encoding="utf-8"))
    assert figures["success"]["fitted"]["brier_score"] == success.brier_score
    assert figures["success"]["fitted"]["brier_score"] < figures["success"]["base_rate"]["brier_score"]
    assert figures["success"]["fitted"]["brier_score"] < figures["success"]["prior"]["brier_score"]
    assert figures["clip_success"]["false_rejects"]["share"] == pytest.approx(0.05, abs=0.03)
    assert figures["clip_success"]["single_figures"]["new_content"]["within_arms"] > 0.9
    diagnosis = figures["diagnosis"]
    assert diagnosis["thresholds"] == after.scorer.diagnosis.as_dict()
    assert diagnosis["default"]["misses"]["share"] == 1.0
    assert diagnosis["fitted"]["misses"]["share"] < 0.35
    assert diagnosis["fitted"]["false_alarms"]["share"] < 0.08
    assert diagnosis["remedies"]["with_symptom"]["share"] > 0.9
    assert {kind.value for kind in CLIP_REMEDIES} == set(diagnosis["remedies"]["by_remedy"])
    output = capsys.readouterr()
    assert "chance before the clip: 300 outcomes" in output.out
    assert "fitting the judged success after the clip" in output.err
    assert "success" in (tmp_path / "p.svg").read_text(encoding="utf-8")


def test_lines_of_score_and_success_fit_the_score_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = _bundle(tmp_path)
    rng = np.random.default_rng(1)
    lines = [
        {"score": score, "success": bool(rng.random() < logistic(score, 0.04, -1.0))} for score in range(0, 100, 2)
    ] * 5
    assert main([str(bundle), "--outcomes", str(_written(tmp_path / "outcomes.jsonl", lines))]) == 0
    manifest, _ = read_manifest(bundle)
    assert manifest.scorer is not None
    assert manifest.scorer.success is not None
    (factor,) = manifest.scorer.success.factors
    assert (factor.name, factor.weight > 2.0) == ("score", True)
    assert manifest.scorer.clip_success is None
    assert "not fitted, the outcomes hold no figure of a clip" in capsys.readouterr().out


def test_too_few_outcomes_change_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = _bundle(tmp_path)
    before = (bundle / "bundle.json").read_bytes()
    lines = synthetic_outcomes()
    file = _written(tmp_path / "outcomes.jsonl", lines[:199])
    assert main([str(bundle), "--outcomes", str(file)]) == 1
    assert "199 outcomes with" in capsys.readouterr().err
    _written(file, [line for line in lines if line["success"]])
    assert main([str(bundle), "--outcomes", str(file)]) == 1
    assert "with 0 failures: 200 with 40 failures and as many successes are needed" in capsys.readouterr().err
    assert (bundle / "bundle.json").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bundle"], "give PAIRS, --outcomes FILE, or both"),
        (["bundle", "--outcomes", "o.jsonl", "--held-out", "h.jsonl"], "--held-out needs PAIRS"),
    ],
)
def test_the_command_wants_something_to_fit_on(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert message in capsys.readouterr().err


def test_a_bundle_without_a_scorer_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = _bundle(tmp_path)
    manifest, _ = read_manifest(bundle)
    (bundle / "bundle.json").write_text(manifest.with_changes(scorer=None).to_json(), encoding="utf-8")
    file = _written(tmp_path / "outcomes.jsonl", synthetic_outcomes())
    assert main([str(bundle), "--outcomes", str(file)]) == 1
    assert "has no scorer, and the fits belong to one" in capsys.readouterr().err
