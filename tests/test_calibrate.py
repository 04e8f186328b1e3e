"""Calibration: the arithmetic against cases computed by hand, the command against pairs of pocket."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from engine.api.match_report import MatchBasis, SuccessBasis
from engine.api.media import Image
from engine.bundle.folder import read_manifest
from engine.generate.bundle_engine import BundleEngine
from engine.generate.loading import load_bundle
from engine.runtime.ort import OrtRuntime
from export.calibrate.__main__ import main
from export.calibrate.judging import KINDS, LANGUAGES
from export.calibrate.logistic import fit_signed_logistic
from export.calibrate.pairs import read_pairs
from export.calibrate.plot import reliability_plot
from export.calibrate.statistics import (
    area_under_curve,
    brier_score,
    expected_calibration_error,
    reliability,
    sigmoid,
)
from export.errors import ExportError
from pocket.pairs import half_of, write_pairs
from pocket.world import list_combinations


def test_area_under_curve_counts_pairs_in_order() -> None:
    scores, labels = np.array([3.0, 1.0, 2.0, 2.0]), np.array([True, False, True, False])
    assert area_under_curve(scores, labels) == (1 + 1 + 1 + 0.5) / 4
    assert area_under_curve(-scores, labels) == 0.5 / 4


def test_errors_of_probabilities() -> None:
    chances, labels = np.array([0.05, 0.05, 0.95, 1.0]), np.array([False, True, True, True])
    assert brier_score(chances, labels) == pytest.approx((0.05**2 + 0.95**2 + 0.05**2 + 0) / 4)
    first, last = reliability(chances, labels)
    assert (first.count, first.observed, last.count, last.observed) == (2, 0.5, 2, 1.0)
    assert expected_calibration_error(chances, labels) == pytest.approx((2 * 0.45 + 2 * 0.025) / 4)


def test_the_fit_finds_what_made_the_labels() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(3.0, 5.0, 20_000)
    labels = rng.random(20_000) < sigmoid(0.7 * values - 2.0)
    model = fit_signed_logistic(values[:, None], labels, np.ones(1, np.int64), 0.0)
    assert [model.weights[0], model.offset] == pytest.approx([0.7, -2.0], abs=0.1)


def test_values_that_labels_separate_do_not_drive_the_slope_away() -> None:
    labels = np.arange(40) >= 20
    model = fit_signed_logistic(np.where(labels, 10.0, -10.0)[:, None], labels, np.ones(1, np.int64), 0.0)
    assert model.chances(np.array([[10.0]]))[0] == pytest.approx(21 / 22, abs=1e-3)  # Platt's target


def test_the_plot_has_a_curve_and_escapes_its_names() -> None:
    bins = [{"count": 3, "predicted": 0.1, "observed": 0.0}, {"count": 1, "predicted": 0.9, "observed": 1.0}]
    plot = reliability_plot({"a<b": bins}, "title")
    assert plot.count("<polyline") == 1
    assert "a&lt;b" in plot


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("{", "is not JSON"),
        ('{"image": "a.png", "prompt": "x"}', "mismatch: Field required"),
        ('{"image": "a.png", "prompt": "x", "mismatch": "mood"}', "mismatch: Input should be"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, fault: str) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text(f"\n{line}\n", encoding="utf-8")
    with pytest.raises(ExportError, match=f"pairs.jsonl, line 2: {fault}"):
        read_pairs(path)
    path.write_text("\n", encoding="utf-8")
    with pytest.raises(ExportError, match="holds no pairs"):
        read_pairs(path)


def test_no_combination_is_in_both_halves_or_in_training() -> None:
    held_out = list_combinations(held_out=True)
    halves = {half: {item for item in held_out if half_of(item) == half} for half in ("fitting", "held_out")}
    assert min(map(len, halves.values())) > 15
    assert len(set.union(*halves.values())) == len(held_out)
    assert not set.union(*halves.values()) & set(list_combinations(held_out=False))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    for half in ("fitting", "held_out"):
        write_pairs(folder, half, picture_count=10)
    return folder


def test_the_command_fits_reports_and_writes_the_manifest(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree("pocket/model", bundle)
    before, _ = read_manifest(bundle)
    outcomes = tmp_path / "outcomes.jsonl"
    outcomes.write_text(
        "".join(json.dumps({"score": n % 100, "success": n % 100 > 37}) + "\n" for n in range(300)), encoding="utf-8"
    )
    options = ["--held-out", "held_out.jsonl", "--json", "figures.json", "--plot", "plot.svg"]
    paths = [option if option.startswith("--") else str(pairs / option) for option in options]
    assert main([str(bundle), str(pairs / "fitting.jsonl"), *paths, "--outcomes", str(outcomes)]) == 0
    figures = json.loads((pairs / "figures.json").read_text(encoding="utf-8"))
    assert figures["area_under_curve"]["subject en"] >= 0.97
    assert figures["clauses"]["all"]["expected_calibration_error"] <= 0.1  # of twenty pictures
    assert figures["grounding"]["picture_count"] == 20
    assert figures["fitted"] == [f"{kind.value} {language}" for kind in KINDS for language in LANGUAGES]
    assert f"fitted: {', '.join(figures['fitted'])}\n" in capsys.readouterr().out
    assert "<svg" in (pairs / "plot.svg").read_text(encoding="utf-8")
    after, _ = read_manifest(bundle)
    assert after.scorer is not None
    assert after.scorer.calibration is not None
    assert after.scorer.calibration.pair_count == len((pairs / "fitting.jsonl").read_text().splitlines())
    assert after.with_changes(scorer=None) == before.with_changes(scorer=None)
    engine = BundleEngine(load_bundle(bundle, OrtRuntime(thread_count=1)), text_cache_entry_count=1)
    line = json.loads((pairs / "held_out.jsonl").read_text(encoding="utf-8").splitlines()[0])
    report = engine.score_match(Image((pairs / line["image"]).read_bytes()), line["prompt"])
    assert report.basis is MatchBasis.CALIBRATED
    assert report.calibration_error == pytest.approx(figures["clauses"]["all"]["expected_calibration_error"])
    assert report.success is not None
    assert report.success.basis is SuccessBasis.MEASURED


@pytest.mark.parametrize(
    ("line_count", "picture_count", "counts"),
    [(2, 2, "1 pairs to fit on and 1 to measure"), (40, 1, "0 pairs to fit on and 40 to measure")],
)
def test_too_few_pairs_calibrate_nothing(
    line_count: int, picture_count: int, counts: str, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree("pocket/model", bundle)
    before = (bundle / "bundle.json").read_bytes()
    lines = [json.loads(line) for line in (pairs / "fitting.jsonl").read_text(encoding="utf-8").splitlines()]
    for number, line in enumerate(lines[:line_count]):
        picture = tmp_path / f"{number % picture_count}.png"
        shutil.copy(pairs / line["image"], picture)
        line["image"] = picture.name
    file = tmp_path / "few.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines[:line_count]), encoding="utf-8")
    assert main([str(bundle), str(file)]) == 1
    error = capsys.readouterr().err
    assert counts in error
    assert "needs 10 right and 10 wrong labels in one language; write pairs of more pictures" in error
    assert (bundle / "bundle.json").read_bytes() == before


def test_a_bundle_without_contrast_sets_is_refused(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree("pocket/model", bundle)
    manifest, _ = read_manifest(bundle)
    assert manifest.scorer is not None
    earlier = manifest.scorer.with_changes(contrasts=None, calibration=None)
    (bundle / "bundle.json").write_text(manifest.with_changes(scorer=earlier).to_json())
    assert main([str(bundle), str(pairs / "fitting.jsonl")]) == 1
    assert "has no scorer with contrast sets; export it again" in capsys.readouterr().err
    engine = BundleEngine(load_bundle(bundle, OrtRuntime(thread_count=1)), text_cache_entry_count=1)
    line = json.loads((pairs / "held_out.jsonl").read_text(encoding="utf-8").splitlines()[0])
    report = engine.score_match(Image((pairs / line["image"]).read_bytes()), line["prompt"])
    assert (report.basis, report.clauses, report.grounding) == (MatchBasis.UNCALIBRATED, (), None)
