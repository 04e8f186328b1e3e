"""Match reports of pocket's scorer: results that can be checked by eye, and no sentence raises an error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from engine.api.cancellation import CancelFlag
from engine.api.capabilities import Geometry
from engine.api.match_report import MatchBasis, MatchReport, MatchVerdict
from engine.api.prompt_report import ClauseKind
from engine.bundle.folder import read_manifest
from engine.matching.scorer import Scorer
from engine.runtime.execution import Execution
from engine.runtime.ort import OrtRuntime
from pocket.world import render_still, sample_spec

_FOLDER = Path("pocket/model")
_SPEC = sample_spec(4, held_out=True, subject="car")
_WORDS = st.sampled_from(
    ["a red car", "海豚", "jumps", "向左", "on the road", "在", "的", "\u200d", "🚗", "\x00", "{}", "%s", ","]
)


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    manifest, _ = read_manifest(_FOLDER)
    assert manifest.scorer is not None
    runtime = OrtRuntime(thread_count=1)
    graphs = {spec.stage: runtime.load(_FOLDER, spec) for spec in manifest.graphs if spec.stage.startswith("scorer")}
    sizes = (Geometry(64, 64, 17), Geometry(96, 64, 17), Geometry(64, 64, 33))
    return Scorer(_FOLDER, manifest.scorer, (graphs["scorer_image"], graphs["scorer_text"]), runtime, sizes)


def _score(scorer: Scorer, prompt: str, picture: Pillow.Image | None = None) -> MatchReport:
    shown = picture or Pillow.fromarray(render_still(_SPEC)[0])
    return scorer.score(Execution(OrtRuntime(1), CancelFlag()), shown, prompt)


def test_what_is_there_is_good(scorer: Scorer) -> None:
    report = _score(scorer, f"A {_SPEC.colour} car rolls to the left")
    assert (report.verdict, report.basis) == (MatchVerdict.GOOD, MatchBasis.CALIBRATED)
    assert report.missing_nouns == ()
    assert report.plausibility is not None
    assert report.plausibility > 0.9


@pytest.mark.parametrize(
    ("prompt", "kind", "missing"),
    [
        ("A dolphin swims to the left", ClauseKind.SUBJECT, ["dolphin"]),
        ("一只海豚向左游", ClauseKind.SUBJECT, ["海豚"]),
        ("A car jumps into the air", ClauseKind.ACTION, []),
        ("汽车跳起来", ClauseKind.ACTION, []),
        ("A car in the sea rolls to the left", ClauseKind.ENVIRONMENT, ["sea"]),
        ("大海里的汽车向左开", ClauseKind.ENVIRONMENT, ["大海"]),
    ],
)
def test_what_is_wrong_is_named(scorer: Scorer, prompt: str, kind: ClauseKind, missing: list[str]) -> None:
    report = _score(scorer, prompt)
    assert report.verdict is MatchVerdict.POOR
    wrong = [item.kind for item in report.clauses if item.probability is not None and item.probability < 0.5]
    assert kind in wrong
    assert [noun.text for noun in report.missing_nouns] == missing
    if kind is ClauseKind.SUBJECT:  # the gate: no action of an absent subject counts
        assert all((item.gated_probability or 0.0) < 0.1 for item in report.clauses if item.kind is ClauseKind.ACTION)


def test_boxes_are_in_pixels_of_the_picture_that_was_given(scorer: Scorer) -> None:
    picture, mask = render_still(_SPEC)
    rows, columns = np.nonzero(mask >= 0.5)
    report = _score(scorer, f"A {_SPEC.colour} car", Pillow.fromarray(picture).resize((640, 320)))
    assert report.grounding is not None
    box = report.grounding.box
    assert box is not None
    right, bottom = box.left_px + box.width_px, box.top_px + box.height_px
    found = np.array([box.left_px / 10, box.top_px / 5, right / 10, bottom / 5])
    np.testing.assert_allclose(found, [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], atol=6)
    assert [(crop.width_px, crop.height_px) for crop in report.crops] == [(64, 64), (96, 64)]
    square, wide = report.crops
    assert box.width_px > square.crop.width_px == 320  # squashed to twice its width, it does not fit
    assert 0.6 < square.subject_share < 1.0
    assert wide.subject_share == pytest.approx(1.0)


@settings(
    max_examples=120, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(prompt=st.one_of(st.text(max_size=300), st.lists(_WORDS, max_size=40).map(" ".join)))
def test_any_sentence_gets_a_report(scorer: Scorer, prompt: str) -> None:
    report = _score(scorer, prompt)
    assert 0.0 <= report.score <= 100.0
    assert all(0 <= item.span.start < item.span.end <= len(prompt) for item in report.clauses)
    for item in report.clauses:
        assert item.probability is None or 0.0 <= (item.gated_probability or 0.0) <= item.probability <= 1.0


def test_a_long_list_costs_few_sentences(scorer: Scorer) -> None:
    report = _score(scorer, "a cat runs and jumps, a dog sleeps in a room, a car on a road. " * 30)
    judged = [item for item in report.clauses if item.probability is not None]
    assert len(judged) <= 24 < len(report.clauses)
