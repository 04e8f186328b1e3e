"""Fitting a picture to the clip's aspect: padding, refusing, and cutting around the subject."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow

from engine.api.errors import InvalidJob, ScorerMissing
from engine.api.fields import Field
from engine.api.job import Job, PictureFit, PreparedJob, VideoSpec
from engine.api.match_report import CropProposal, Grounding, MatchBasis, MatchReport, MatchVerdict
from engine.api.media import Box, Image
from engine.preparation.job import prepare_job
from tests.preparing import TWO_EXPERTS, WITHOUT_SCORER

_HALVES = np.repeat(np.array([[[200, 0, 0], [0, 0, 100]]], np.uint8), 40, axis=0).repeat(40, axis=1)  # 80x40


def _fitted(fit: PictureFit, picture: NDArray[np.uint8] = _HALVES, crop: Box | None = None) -> PreparedJob:
    buffer = io.BytesIO()
    Pillow.fromarray(picture).save(buffer, "PNG")
    job = Job(Image(buffer.getvalue()), "a cat jumps", video=VideoSpec(32, 32, 9, picture_fit=fit))
    grounding = Grounding((), crop, 0.0, 0.0, 0.5, 0.5, 0.0)
    proposal = CropProposal(32, 32, crop or Box(0, 0, 1, 1), 1.0, 1.0, 1.0, 1.0)
    report = MatchReport(
        50.0, MatchVerdict.POOR, 0.0, 0.0, MatchBasis.CALIBRATED, grounding=grounding, crops=(proposal,)
    )
    return prepare_job(job, TWO_EXPERTS, lambda _image, _prompt: report)


def test_padding_keeps_the_whole_picture_between_bars_of_its_edges() -> None:
    prepared = _fitted(PictureFit.PAD)
    assert prepared.settings.crop == Box(0, 0, 80, 40)
    assert prepared.settings.picture_fit is PictureFit.PAD
    inner = prepared.picture[8:24]  # 32x16
    assert np.abs(inner[:, :14].astype(int) - [200, 0, 0]).max() <= 1
    assert np.abs(inner[:, 18:].astype(int) - [0, 0, 100]).max() <= 1
    for bar in (prepared.picture[:8], prepared.picture[24:]):
        assert np.abs(bar.astype(int) - [100, 0, 50]).max() <= 2


def test_padding_a_picture_of_the_size_changes_nothing() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    np.testing.assert_array_equal(_fitted(PictureFit.PAD, picture).picture, picture)


@pytest.mark.parametrize(("size", "is_refused"), [((40, 80), True), ((64, 64), False), ((64, 65), False)], ids=str)
def test_another_aspect_is_refused_where_that_is_asked_for(size: tuple[int, int], is_refused: bool) -> None:
    picture = np.zeros((*size, 3), np.uint8)
    if not is_refused:
        assert _fitted(PictureFit.REFUSE, picture).picture.shape == (32, 32, 3)
        return
    with pytest.raises(InvalidJob) as refused:
        _fitted(PictureFit.REFUSE, picture)
    assert [item.field for item in refused.value.violations] == [Field.IMAGE_DATA]
    assert "is 80x40 pixels, not of the aspect of 32x32" in str(refused.value)


def test_the_part_around_the_subject() -> None:
    prepared = _fitted(PictureFit.CROP_SUBJECT, crop=Box(44, 4, 32, 32))
    assert prepared.settings.crop == Box(44, 4, 32, 32)
    assert (prepared.picture == [0, 0, 100]).all()
    assert prepared.warnings == ()


def test_a_small_part_of_a_picture_of_the_size_is_enlarged() -> None:
    """A picture of the clip's size is not taken whole where a part of it was asked for."""
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[:22, :22] = 255
    prepared = _fitted(PictureFit.CROP_SUBJECT, picture, crop=Box(0, 0, 22, 22))
    assert prepared.picture.min() > 180  # the filter reaches a little beyond the part


def test_a_subject_that_is_not_found_is_no_reason_to_refuse() -> None:
    prepared = _fitted(PictureFit.CROP_SUBJECT)
    assert prepared.settings.crop == Box(20, 0, 40, 40)
    assert prepared.warnings == ("the subject was not found in the picture, so it is cut from the centre",)


def test_the_subject_needs_a_scorer(png: Callable[..., bytes]) -> None:
    job = Job(Image(png(64, 64)), "a cat jumps")
    with pytest.raises(ScorerMissing) as missing:
        prepare_job(replace(job, video=VideoSpec(picture_fit=PictureFit.CROP_SUBJECT)), WITHOUT_SCORER)
    assert missing.value.field == Field.PICTURE_FIT
