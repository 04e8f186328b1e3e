"""A bundle with fits on outcomes: the chance before the clip, the judged success after it, symptoms and remedies."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from engine.analysis.diagnosis.judgement import DiagnosisInput, diagnose
from engine.analysis.diagnosis.measured_evidence import CLIP_REMEDIES, REMEDY_OF, measured_reasons, ranked
from engine.api.cancellation import CancelFlag
from engine.api.diagnosis import ClipMetrics, RemedyKind, SymptomKind
from engine.api.errors import BundleInvalid
from engine.api.events import FrameReady, JobDone
from engine.api.job import Job, MatchMode, MatchPolicy, SamplingSpec
from engine.api.match_report import MatchReport, SuccessBasis, SuccessFactor
from engine.api.media import Image
from engine.bundle.diagnosis_spec import DiagnosisSpec
from engine.bundle.folder import parse_manifest, read_manifest
from engine.bundle.scorer_spec import ClipSuccessSpec, FactorSpec, ScorerSpec, SuccessSpec
from engine.generate.bundle_engine import BundleEngine
from engine.generate.loading import load_bundle
from engine.matching.success import check_factors, log_odds_of, pair_success
from engine.matching.success_factors import FAULTLESS
from engine.runtime.ort import OrtRuntime
from pocket.world import render_still, sample_spec
from pocket.world.png import png_of

_CALM = ClipMetrics(dynamic_degree=0.5, motion_speed=0.2, temporal_flicker=0.98, largest_change=0.03, burnt_gain=0.0)
_SPEC = sample_spec(4, held_out=True, subject="car")
_MEASURED = {"outcome_count": 300, "brier_score": 0.1, "calibration_error": 0.02}
_SUCCESS = SuccessSpec(
    offset=-2.0,
    factors=(
        FactorSpec(name="action", weight=5.0),
        FactorSpec(name="guidance_above", weight=-1.0),
        FactorSpec(name="guidance_above", weight=-2.0, above=1.0),
    ),
    **_MEASURED,  # type: ignore[arg-type]
)
_CLIP = ClipSuccessSpec(
    offset=1.0,
    factors=(FactorSpec(name="last_score", weight=1.0), FactorSpec(name="guidance_above", weight=-3.0)),
    accept_from=0.5,
    area_under_curve=0.9,
    **_MEASURED,  # type: ignore[arg-type]
)
_DIAGNOSIS = DiagnosisSpec(low_chance_below=0.6, match_loss_above=1.0, outcome_count=300)


def _engine(folder: Path, **changes: object) -> BundleEngine:
    """An engine on a copy of pocket whose scorer has these fields."""
    bundle = Path(shutil.copytree("pocket/model", folder / "bundle"))
    manifest, _ = read_manifest(bundle)
    assert manifest.scorer is not None
    changed = manifest.with_changes(scorer=manifest.scorer.with_changes(**changes))
    (bundle / "bundle.json").write_text(changed.to_json(), encoding="utf-8")
    assert parse_manifest(bundle) == changed
    return BundleEngine(load_bundle(bundle, OrtRuntime(thread_count=1)), text_cache_entry_count=1)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> BundleEngine:
    return _engine(tmp_path_factory.mktemp("measured"), success=_SUCCESS, clip_success=_CLIP, diagnosis=_DIAGNOSIS)


def _job(prompt: str, guidance_scale: float) -> Job:
    return Job(
        image=Image(png_of(render_still(_SPEC)[0])),
        prompt=prompt,
        sampling=SamplingSpec(step_count=4, guidance_scale=guidance_scale, seed=1),
        match=MatchPolicy(MatchMode.REPORT),
    )


def _sigmoid(odds: float) -> float:
    return 1.0 / (1.0 + math.exp(-odds))


def _report(engine: BundleEngine, prompt: str) -> MatchReport:
    return engine.score_match(Image(png_of(render_still(_SPEC)[0])), prompt)


def test_the_chance_before_the_clip_is_the_fit(engine: BundleEngine) -> None:
    report = _report(engine, f"A {_SPEC.colour} car rolls to the left")
    assert report.success is not None
    figures = {item.name: item.value for item in report.success.factors}
    assert list(figures) == list(FAULTLESS)
    assert (report.success.basis, report.success.brier_score) == (SuccessBasis.MEASURED, 0.1)
    assert report.success.probability == pytest.approx(_sigmoid(-2.0 + 5.0 * figures["action"]))
    hopeless = _report(engine, "A car jumps into the air").success
    assert hopeless is not None
    (action,) = (item for item in hopeless.factors if item.name == "action")
    assert action.log_odds == pytest.approx(5.0 * (action.value - 1.0))
    assert hopeless.probability < report.success.probability - 0.5


def test_a_clip_is_judged_and_a_low_chance_is_a_symptom(engine: BundleEngine) -> None:
    """Guidance of 4.5 is three times pocket's: the figure is ln 3, of which 0.0986 exceed the knot at 1."""
    job = engine.prepare(_job(f"A {_SPEC.colour} car rolls to the left", 4.5))
    events = list(engine.generate(job, CancelFlag()))
    (done,) = (event for event in events if isinstance(event, JobDone))
    pair, clip = done.match_report, done.success
    assert pair is not None
    assert pair.success is not None
    assert clip is not None
    assert done.diagnosis is not None
    action = next(item.value for item in pair.success.factors if item.name == "action")
    odds = -2.0 + 5.0 * action - math.log(3.0) - 2.0 * (math.log(3.0) - 1.0)
    assert pair.success.probability == pytest.approx(_sigmoid(odds))
    last = done.frame_matches[-1].score / 100.0
    assert clip.probability == pytest.approx(_sigmoid(1.0 + last - 3.0 * math.log(3.0)))
    assert clip.basis is SuccessBasis.MEASURED
    low = next(item for item in done.diagnosis.symptoms if item.kind is SymptomKind.LOW_CHANCE)
    assert (
        low.message
        == f"The chance that the clip is good is only {100 * clip.probability:.0f} %, by all its figures together."
    )
    assert done.diagnosis.remedies[0].kind is RemedyKind.GUIDANCE
    assert done.diagnosis.remedies[0].message == "Lower the guidance scale from 4.5 to 1.5."
    assert sum(isinstance(event, FrameReady) for event in events) == 17


def test_bundles_of_earlier_fits_have_a_line_on_the_score() -> None:
    spec = SuccessSpec.from_dict({"slope": 4.0, "offset": -1.0, **_MEASURED})
    estimate = pair_success({**FAULTLESS, "score": 0.5}, spec)
    assert estimate.probability == pytest.approx(_sigmoid(1.0))
    assert estimate.factors[0] == SuccessFactor("score", 0.5, pytest.approx(-2.0))  # type: ignore[arg-type]
    assert {item.log_odds for item in estimate.factors[1:]} == {0.0}
    assert pair_success(FAULTLESS, None).basis is SuccessBasis.ARTICLE_PRIOR
    manifest = parse_manifest(Path("pocket/model"))
    assert manifest.scorer is not None
    earlier = {
        name: value for name, value in manifest.scorer.as_dict().items() if name not in {"diagnosis", "clip_success"}
    }
    assert ScorerSpec.from_dict(earlier).diagnosis == DiagnosisSpec()


def test_a_fit_on_figures_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    unknown = (FactorSpec(name="last_score", weight=1.0),)  # a clip's figure, unknown before the clip
    message = r"scorer\.success depends on a figure 'last_score' that this server does not know; update the server"
    with pytest.raises(BundleInvalid, match=message):
        _engine(tmp_path, success=_SUCCESS.with_changes(factors=unknown))
    spec = parse_manifest(Path("pocket/model")).scorer
    assert spec is not None
    check_factors(spec.with_changes(success=_SUCCESS, clip_success=_CLIP.with_changes(factors=unknown)))
    mood = _CLIP.with_changes(factors=(FactorSpec(name="mood", weight=1.0),))
    with pytest.raises(BundleInvalid, match=r"scorer\.clip_success depends on a figure 'mood'"):
        check_factors(spec.with_changes(clip_success=mood))


def test_log_odds_are_counted_from_a_pair_without_a_fault() -> None:
    figures = {**FAULTLESS, "action": 0.2, "guidance_above": 1.5}
    log_odds = log_odds_of(figures, _SUCCESS)
    assert log_odds["action"] == pytest.approx(-4.0)
    assert log_odds["guidance_above"] == pytest.approx(-1.5 - 2.0 * 0.5)
    assert set(log_odds_of(FAULTLESS, _SUCCESS).values()) == {0.0}


def test_a_curve_changes_chance_and_log_odds() -> None:
    """Without faults the log odds are 3, with the action at 0.2 they are -1; the curve doubles what lies above 0."""
    spec = _SUCCESS.with_changes(curve=((-2.0, -2.0), (0.0, 0.0), (4.0, 8.0)))
    figures = {**FAULTLESS, "action": 0.2}
    estimate = pair_success(figures, spec)
    assert estimate.probability == pytest.approx(_sigmoid(-1.0))
    assert log_odds_of(figures, spec)["action"] == pytest.approx(-1.0 - 6.0)
    assert pair_success(FAULTLESS, spec).probability == pytest.approx(_sigmoid(6.0))


def test_the_remedy_of_the_figure_that_costs_most_comes_first() -> None:
    reasons = list(measured_reasons(FAULTLESS, {"action": -1.0, "clutter": -0.7, "centre_offset": -0.7}, ()))
    assert ranked(reasons)[:2] == (RemedyKind.PICTURE, RemedyKind.MATCH)
    assert ranked(measured_reasons(FAULTLESS, {}, ())) == CLIP_REMEDIES
    high = {**FAULTLESS, "guidance_above": 1.0}
    assert ranked(measured_reasons(high, {}, {SymptomKind.BURNT_COLOURS}))[0] is RemedyKind.GUIDANCE
    assert ranked(measured_reasons(FAULTLESS, {}, {SymptomKind.BURNT_COLOURS}))[0] is RemedyKind.MATCH
    assert ranked(measured_reasons(FAULTLESS, {}, {SymptomKind.FIRST_FRAME}))[0] is RemedyKind.PICTURE
    assert set(REMEDY_OF) == set(FAULTLESS) - {"asked_motion", "step_lack"}


@pytest.mark.parametrize(
    ("prompt", "figure", "message"),
    [
        ("A red car jumps into the air", "action", "Ask for an action that this subject can do in this picture"),
        (
            "A dolphin swims to the left",
            "missing_nouns",
            "Make prompt and picture match: “dolphin” is not in the picture.",
        ),
        ("A car moves", "wording_warnings", "Write one concrete sentence: "),
        ("让汽车跳起来", "score", "让提示词与图片匹配（目前"),
        ("A car rolls to the left, then to the right", "further_actions", "Shorten to one action"),
        ("A car rolls to the left", "clutter", "Use a picture, or a crop, without other things beside the subject."),
    ],
)
def test_the_message_names_the_figure_that_costs_most(
    prompt: str, figure: str, message: str, engine: BundleEngine
) -> None:
    report = _report(engine, prompt)
    assert report.success is not None
    factors = tuple(replace(item, log_odds=-9.0 if item.name == figure else 0.0) for item in report.success.factors)
    report = replace(report, success=replace(report.success, factors=factors))
    given = DiagnosisInput(report, 1.5, 1.5, 4.25, 40.0, (90.0, 90.0), chance_after_clip=0.3)
    diagnosis = diagnose(_CALM, given, _DIAGNOSIS)
    assert SymptomKind.LOW_CHANCE in {item.kind for item in diagnosis.symptoms}
    assert diagnosis.remedies[0].message.startswith(message)
