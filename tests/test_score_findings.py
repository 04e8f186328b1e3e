"""Score, verdict and probability of success count the findings on the sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image as Pillow

from benchmarks.prompt_findings import labelled
from engine.analysis.prompt.gaps import Gap
from engine.analysis.prompt.report import report_prompt
from engine.analysis.prompt.sentence import read_sentence
from engine.api.cancellation import CancelFlag
from engine.api.capabilities import Geometry
from engine.api.match_report import MatchBasis, MatchReport, MatchVerdict, SuccessBasis
from engine.api.prompt_report import Finding, Language, ModelRange, PromptReport
from engine.bundle.folder import read_manifest
from engine.matching.enrichment import EnrichmentContext, enriched
from engine.matching.score import score_limit
from engine.matching.scorer import Scorer
from engine.matching.success import prior_chance
from engine.matching.success_factors import pair_factors
from engine.preparation.score_request import ClipSettings
from engine.runtime.execution import Execution
from engine.runtime.ort import OrtRuntime
from pocket.world import render_still, sample_spec

_FOLDER = Path("pocket/model")
_CAR = sample_spec(4, held_out=True, subject="car")
_CLIP = ClipSettings(Geometry(64, 64, 81), 16.0, 3.5, "", 40)
_SUBJECT, _MOTION = frozenset({Gap.SUBJECT}), frozenset({Gap.MOTION})
_BOTH = _SUBJECT | _MOTION
# The article's examples, bad and good, with what each of them lacks.
_EXAMPLES = [
    ("让他动起来", _BOTH),
    ("make it move", _BOTH),
    ("白色猫咪，沙发", _MOTION),
    ("A white cat, a sofa", _MOTION),
    ("小女孩在花园里玩耍", _MOTION),
    ("The children play in the garden", _MOTION),
    ("他慢慢转过头，看向窗外的大海", _SUBJECT),
    ("It slowly turns its head to the left", _SUBJECT),
    ("Please animate this picture nicely", _BOTH),
    ("Steps: 20, CFG scale: 7", _SUBJECT),
    ("!!!", _SUBJECT),
    ("一只白色猫咪从沙发上跳下来，然后走向窗边，阳光逐渐变亮", frozenset()),
    ("海豚跃出海面，浪花四溅", frozenset()),
    ("充满活力的少年在操场上奔跑，画面极具张力", frozenset()),
    ("Make the cat jump off the sofa", frozenset()),
    ("The cat plays, then jumps onto the sofa", frozenset()),
    ("A red car slowly rolls to the right.", frozenset()),
    ("The light fades while the camera pans left", frozenset()),
    ("镜头缓缓推近", frozenset()),
    ("кошка идёт по крыше", frozenset()),  # no rules for the language
]
_LACKING = [item for item in _EXAMPLES if item[1]]


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    manifest, _ = read_manifest(_FOLDER)
    assert manifest.scorer is not None
    runtime = OrtRuntime(thread_count=1)
    graphs = {spec.stage: runtime.load(_FOLDER, spec) for spec in manifest.graphs if spec.stage.startswith("scorer")}
    return Scorer(_FOLDER, manifest.scorer, (graphs["scorer_image"], graphs["scorer_text"]), runtime)


def _report(scorer: Scorer, prompt: str) -> MatchReport:
    picture = Pillow.fromarray(render_still(_CAR)[0])
    report = scorer.score(Execution(OrtRuntime(1), CancelFlag()), picture, prompt)
    return enriched(report, prompt, None, _CLIP, EnrichmentContext(ModelRange()))


@pytest.mark.parametrize(("prompt", "gaps"), _EXAMPLES, ids=[prompt for prompt, _ in _EXAMPLES])
def test_the_articles_examples_lack_what_their_findings_say(prompt: str, gaps: frozenset[Gap]) -> None:
    assert read_sentence(prompt).gaps == gaps


@pytest.mark.parametrize(("prompt", "gaps"), _LACKING, ids=[prompt for prompt, _ in _LACKING])
def test_a_sentence_that_lacks_something_is_no_good_match(scorer: Scorer, prompt: str, gaps: frozenset[Gap]) -> None:
    report = _report(scorer, prompt)
    assert report.success is not None
    assert report.success.probability < prior_chance({"score": 0.8})
    if Gap.SUBJECT in gaps:
        assert (report.verdict, report.score <= 20.0) == (MatchVerdict.POOR, True)
        assert report.success.probability < 0.65
    else:
        assert report.verdict is not MatchVerdict.GOOD
        assert report.score <= 55.0


def test_the_articles_own_bad_example_fails(scorer: Scorer) -> None:
    """Three kinds of findings, an error and two warnings, from a score of at most 20."""
    report = _report(scorer, "让他动起来")
    assert report.success is not None
    assert report.verdict is MatchVerdict.POOR
    expected = 1 / (1 + math.exp(0.156 - 3.876 * report.score / 100 + 1.5 + 0.5 + 0.5))
    assert report.success.probability == pytest.approx(expected)
    assert report.success.probability < 0.15
    assert report.success.basis is SuccessBasis.ARTICLE_PRIOR


@pytest.mark.parametrize(
    "prompt", [f"A {_CAR.colour} car rolls slowly to the left.", f"A {_CAR.colour} car\nrolls slowly&nbsp;to the left."]
)
def test_a_clean_sentence_keeps_the_published_figures(scorer: Scorer, prompt: str) -> None:
    report = _report(scorer, prompt)
    assert report.verdict is MatchVerdict.GOOD
    assert report.success is not None
    assert report.success.probability == prior_chance({"score": report.score / 100})
    assert report.success.basis is SuccessBasis.ARTICLE_PRIOR


@pytest.mark.parametrize(
    "pasted",
    [
        "[0s-2s] {}",
        "{}\nNegative prompt: a dolphin on a beach\nSteps: 20, CFG scale: 7",
        '{{"prompt": "{}", "negative_prompt": "a dolphin"}}',
        "{} --no dolphin --ar 16:9",
        "{}, a 10 second video, 4K, 60fps",
        "{}, no dolphin, without beach",
        "&quot;{}&quot;",
    ],
)
def test_what_was_pasted_is_not_scored(scorer: Scorer, pasted: str) -> None:
    sentence = f"A {_CAR.colour} car rolls slowly to the left"
    plain, other = _report(scorer, sentence), _report(scorer, pasted.format(sentence))
    assert other.score == pytest.approx(plain.score)
    prompt = pasted.format(sentence)
    assert [prompt[item.span.start : item.span.end] for item in other.clauses] == [item.text for item in plain.clauses]
    assert other.missing_nouns == ()


def test_limits_follow_the_verdicts_of_the_bundle() -> None:
    assert [score_limit(gaps) for gaps in (frozenset[Gap](), _MOTION, _SUBJECT, _BOTH)] == [100.0, 55.0, 20.0, 20.0]
    assert [score_limit(gaps, 90.0, 60.0) for gaps in (_MOTION, _SUBJECT)] == [75.0, 30.0]


def _prior(score: float, findings: Sequence[Finding]) -> float:
    """The prior of a pair with this score and these findings on its sentence."""
    prompt_report = PromptReport(Language.EN, (), tuple(findings), None, ())
    report = MatchReport(score, MatchVerdict.GOOD, 0.0, 0.0, MatchBasis.CALIBRATED, prompt_report=prompt_report)
    return prior_chance(pair_factors(report, _CLIP, 3.5, 40))


def test_more_findings_never_raise_the_probability() -> None:
    findings = [item for row in labelled("development") for item in report_prompt(row["text"]).findings]
    for score in (0.0, 20.0, 80.0, 100.0):
        last = _prior(score, ())
        for count in range(0, len(findings), 7):
            now = _prior(score, findings[:count])
            assert now <= last
            last = now
        assert last < _prior(score, ())


def test_settings_and_repeated_findings_do_not_count_twice() -> None:
    one, two = (
        report_prompt(f"A boy runs through a meadow{rest}").findings for rest in (", no dogs", ", no dogs, no cats")
    )
    assert _prior(80.0, one) == _prior(80.0, two) < _prior(80.0, ())
    long = report_prompt("A boy runs through a meadow", duration_seconds=12, guidance_scale=20).findings
    assert {item.code for item in long} == {"W18", "W19"}
    assert _prior(80.0, long) == _prior(80.0, ())
