"""Match scores: the engine's figures against the scorer model itself, and edge cases of the arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from transformers import AutoTokenizer, SiglipImageProcessor, SiglipModel

from engine.api.capabilities import Limits
from engine.api.errors import InvalidJob
from engine.api.fields import Field
from engine.api.match_report import MatchBasis, MatchVerdict
from engine.api.media import Image
from engine.generate.bundle_engine import BundleEngine
from engine.generate.loading import load_bundle
from engine.matching.score import report_of, verdict_of
from engine.media.picture import decode_picture
from engine.runtime.ort import OrtRuntime
from export.bundle.contrast import DEFAULT_CONTRASTS, contrast_sentences

_TOLERANCE = 1e-4
CONTRAST_SENTENCES = contrast_sentences(DEFAULT_CONTRASTS)


@pytest.fixture(scope="module")
def engine(tiny_bundle: Path) -> BundleEngine:
    return BundleEngine(load_bundle(tiny_bundle, OrtRuntime(thread_count=1)), text_cache_entry_count=1)


@pytest.fixture(scope="module")
def scorer(tiny_bundle: Path) -> Path:
    """The scorer as it was before the export."""
    return tiny_bundle.parent / "checkpoint" / "scorer"


def _logits(scorer: Path, picture: Pillow.Image, sentences: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """z and cosine of a picture and each sentence, by the library alone."""
    model = SiglipModel.from_pretrained(scorer).eval()
    tokens = AutoTokenizer.from_pretrained(scorer)(
        [sentence.lower() for sentence in sentences],
        padding="max_length",
        max_length=64,
        truncation=True,
        return_tensors="pt",
    )
    pixels = SiglipImageProcessor.from_pretrained(scorer)(images=picture, return_tensors="pt")
    with torch.no_grad():
        output = model(input_ids=tokens["input_ids"], pixel_values=pixels["pixel_values"])
    return output.logits_per_image[0].double(), (output.image_embeds @ output.text_embeds.T)[0]


@pytest.mark.parametrize("size", [(32, 32), (90, 41), (20, 60)], ids=str)
@pytest.mark.parametrize(
    "prompt",
    ["A White CAT jumps to the left", "海豚跃出海面,浪花四溅", "waves " * 100, "ÉLAN"],
    ids=["en", "zh", "long", "case"],
)
def test_scores_equal_the_model(
    engine: BundleEngine, scorer: Path, png: Callable[..., bytes], size: tuple[int, int], prompt: str
) -> None:
    file = Image(png(*size, seed=size[0]))
    report = engine.score_match(file, prompt)
    logits, cosines = _logits(scorer, decode_picture(file, Limits()).upright, [prompt, *CONTRAST_SENTENCES])
    level = torch.logsumexp(logits[1:], dim=0) - math.log(len(CONTRAST_SENTENCES))
    contrast = float(logits[0] - level)
    assert report.similarity == pytest.approx(float(cosines[0]), abs=_TOLERANCE)
    assert report.contrast == pytest.approx(contrast, abs=_TOLERANCE)
    assert report.basis is MatchBasis.UNCALIBRATED


def test_pictures_and_sentences_make_a_difference(engine: BundleEngine, png: Callable[..., bytes]) -> None:
    """Without it the test above could pass on a constant."""
    contrasts = {
        engine.score_match(Image(png(40, 40, seed=seed)), prompt).contrast
        for seed in (0, 1)
        for prompt in ("a white cat", "the red car drives")
    }
    assert len(contrasts) == 4
    assert max(contrasts) - min(contrasts) > 10 * _TOLERANCE


def test_a_wrong_picture_and_a_wrong_sentence_are_named_together(engine: BundleEngine) -> None:
    with pytest.raises(InvalidJob) as refused:
        engine.score_match(Image(b"not a picture"), " ")
    assert [item.field for item in refused.value.violations] == [Field.PROMPT, Field.IMAGE_DATA]


def test_a_sentence_that_is_too_long_is_refused_though_the_picture_is_fine(
    engine: BundleEngine, png: Callable[..., bytes]
) -> None:
    with pytest.raises(InvalidJob) as refused:
        engine.score_match(Image(png(8, 8)), "x" * 2_001)
    assert [item.field for item in refused.value.violations] == [Field.PROMPT]


@pytest.mark.parametrize(
    ("score", "verdict"),
    [
        (100.0, MatchVerdict.GOOD),
        (70.0, MatchVerdict.GOOD),
        (math.nextafter(70.0, 0.0), MatchVerdict.DOUBTFUL),
        (40.0, MatchVerdict.DOUBTFUL),
        (math.nextafter(40.0, 0.0), MatchVerdict.POOR),
        (0.0, MatchVerdict.POOR),
    ],
)
def test_a_score_in_words(score: float, verdict: MatchVerdict) -> None:
    assert verdict_of(score) is verdict


def test_a_contrast_becomes_a_score() -> None:
    report = report_of(similarity=0.25, contrast=2.0, slope=0.5, offset=-1.0, is_calibrated=True)
    assert (report.score, report.verdict, report.similarity, report.contrast) == (
        50.0,
        MatchVerdict.DOUBTFUL,
        0.25,
        2.0,
    )
    assert report.basis is MatchBasis.CALIBRATED


@pytest.mark.parametrize("contrast", [-1e308, -1e4, 1e4, 1e308])
def test_an_extreme_contrast_does_not_overflow(contrast: float) -> None:
    report = report_of(0.0, contrast, slope=1e3, offset=0.0, is_calibrated=False)
    assert report.score == pytest.approx(100.0 if contrast > 0 else 0.0, abs=1e-9)
    assert report.verdict is (MatchVerdict.GOOD if contrast > 0 else MatchVerdict.POOR)


def test_scores_rise_with_the_contrast() -> None:
    scores = [report_of(0.0, contrast, 1.0, 0.0, is_calibrated=False).score for contrast in np.linspace(-30, 30, 61)]
    assert scores == sorted(set(scores))
