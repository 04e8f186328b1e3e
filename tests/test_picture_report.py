"""Reports on synthetic picture files, in which every figure has a known cause."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageFilter

from engine.analysis.picture.report import blockiness_of, report_picture, sharpness_of
from engine.api.capabilities import Limits
from engine.api.media import Image, ImageFormat
from engine.api.picture_report import PictureIssue, PictureReport
from engine.media.picture import decode_picture


@pytest.fixture(scope="module")
def photograph() -> Pillow.Image:
    """Detail at every scale, as in a photograph: the amplitude of a frequency falls as its inverse."""
    height, width = 360, 480
    rng = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None])
    frequency[0, 0] = 1.0
    spectrum = np.exp(2j * np.pi * rng.random((height, width))) / frequency
    values = np.fft.ifft2(spectrum).real
    values = 128.0 + 45.0 * (values - values.mean()) / values.std()
    return Pillow.fromarray(np.clip(values, 0, 255).astype(np.uint8)).convert("RGB")


def _report(picture: Pillow.Image, **options: object) -> PictureReport:
    buffer = io.BytesIO()
    picture.save(buffer, **{"format": "PNG", **options})  # type: ignore[arg-type]
    return report_picture(decode_picture(Image(buffer.getvalue()), Limits()))


def test_a_good_picture_has_no_issues(photograph: Pillow.Image) -> None:
    report = _report(photograph)
    assert report.issues == ()
    assert (report.width_px, report.height_px, report.page_count) == (480, 360, 1)
    assert report.format is ImageFormat.PNG


def test_blur_lowers_sharpness(photograph: Pillow.Image) -> None:
    values = [_report(photograph.filter(ImageFilter.GaussianBlur(radius))).sharpness for radius in (0, 1, 2, 4)]
    assert values == sorted(values, reverse=True)
    assert PictureIssue.BLURRED in _report(photograph.filter(ImageFilter.GaussianBlur(4))).issues


def test_sharpness_is_the_variance_of_the_laplacian() -> None:
    point = np.zeros((5, 5), np.uint8)
    point[2, 2] = 9
    laplacian = np.array([[0, 9, 0], [9, -36, 9], [0, 9, 0]])
    assert sharpness_of(point) == pytest.approx(laplacian.var())


@pytest.mark.parametrize("shift", [0, 3])
def test_traces_of_jpeg_stay_when_it_is_saved_as_png(photograph: Pillow.Image, shift: int) -> None:
    ratios = {}
    for quality in (10, 30, 95):
        buffer = io.BytesIO()
        photograph.save(buffer, "JPEG", quality=quality)
        again = Pillow.open(buffer).crop((shift, shift, 480, 360))
        ratios[quality] = _report(again)
    assert PictureIssue.BLOCKY in ratios[10].issues
    assert PictureIssue.BLOCKY not in ratios[95].issues
    assert ratios[10].blockiness > ratios[30].blockiness > 1.05


def test_a_plain_picture_has_no_blocks() -> None:
    assert blockiness_of(np.full((64, 64), 7, np.uint8)) == 1.0
    assert blockiness_of(np.zeros((4, 4), np.uint8)) == 1.0


@pytest.mark.parametrize(
    ("mode", "options", "issue"),
    [
        ("RGBA", {}, PictureIssue.TRANSPARENT),
        ("CMYK", {"format": "JPEG"}, PictureIssue.CMYK),
        ("I;16", {}, PictureIssue.SIXTEEN_BIT),
    ],
)
def test_channels(mode: str, options: dict[str, object], issue: PictureIssue) -> None:
    assert issue in _report(Pillow.new(mode, (300, 300)), **options).issues


def test_a_rotated_picture_reports_its_upright_size(photograph: Pillow.Image) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6
    report = _report(photograph, format="JPEG", quality=95, exif=exif)
    assert PictureIssue.ROTATED in report.issues
    assert (report.width_px, report.height_px) == (360, 480)


def test_pages_are_counted_and_the_first_is_used(photograph: Pillow.Image) -> None:
    others = [Pillow.new("RGB", (300, 300), colour) for colour in ("red", "blue")]
    report = _report(photograph, format="TIFF", save_all=True, append_images=others)
    assert report.page_count == 3
    assert (report.width_px, report.height_px) == (480, 360)
    assert report.issues == (PictureIssue.PAGES,)


def test_small_and_long(photograph: Pillow.Image) -> None:
    assert PictureIssue.SMALL in _report(photograph.resize((320, 200))).issues
    assert PictureIssue.LONG in _report(photograph.resize((1000, 300))).issues
