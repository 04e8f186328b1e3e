"""Boxes of a match report are in pixels of the picture file, however the picture was fitted to the clip's size."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.api.job import Job, PictureFit, VideoSpec
from engine.api.match_report import Grounding, MatchBasis, MatchReport, MatchVerdict
from engine.api.media import Box, Image
from engine.matching.score import in_file
from engine.preparation.job import prepare_job
from engine.testing.fake_engine import FAKE_CAPABILITIES


def _report(box: Box | None) -> MatchReport:
    grounding = Grounding((), box, 0.5, 0.25, 0.5, 0.5, 0.0)
    return MatchReport(50.0, MatchVerdict.DOUBTFUL, 0.0, 0.0, MatchBasis.CALIBRATED, grounding=grounding)


@pytest.mark.parametrize(
    ("fit", "in_clip", "expected"),
    [
        # 80x40 to 32x32: the middle 40x40 at a scale of 0.8
        (PictureFit.CROP_CENTER, Box(0, 0, 32, 32), Box(20, 0, 40, 40)),
        (PictureFit.CROP_CENTER, Box(8, 16, 16, 8), Box(30, 20, 20, 10)),
        # the whole of it in rows 8 to 24, at a scale of 0.4
        (PictureFit.PAD, Box(0, 8, 32, 16), Box(0, 0, 80, 40)),
        (PictureFit.PAD, Box(8, 12, 16, 8), Box(20, 10, 40, 20)),
        (PictureFit.PAD, Box(0, 0, 32, 32), Box(0, 0, 80, 40)),  # bars are no part of the picture
    ],
)
def test_a_box_in_the_file(png: Callable[..., bytes], fit: PictureFit, in_clip: Box, expected: Box) -> None:
    job = Job(Image(png(80, 40)), "a cat jumps", video=VideoSpec(32, 32, 9, picture_fit=fit))
    told = in_file(_report(in_clip), prepare_job(job, FAKE_CAPABILITIES))
    assert told.grounding is not None
    assert told.grounding.box == expected


def test_what_was_not_found_has_no_box(png: Callable[..., bytes]) -> None:
    job = prepare_job(Job(Image(png(80, 40)), "a cat jumps"), FAKE_CAPABILITIES)
    told = in_file(_report(None), job)
    assert told.grounding is not None
    assert told.grounding.box is None
