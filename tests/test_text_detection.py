"""Text detection in synthetic pictures, and the connected components that it is based on."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFilter, ImageFont

from engine.analysis.picture.components import components_of
from engine.analysis.picture.text_detection import detect_text


def _components(rows: list[str]) -> list[tuple[int, ...]]:
    mask = np.array([[mark == "#" for mark in row] for row in rows])
    found = components_of(mask, np.where(mask, 9, 0).astype(np.uint8))
    assert np.array_equal(found.mean, np.full(len(found.area), 9.0))
    assert not found.deviation.any()
    names = ("left", "top", "right", "bottom", "area", "perimeter")
    return sorted(zip(*(getattr(found, name).tolist() for name in names), strict=True))


def test_components_by_hand() -> None:
    assert _components(["....", "...."]) == []
    assert _components(["##..", "#..#"]) == [(0, 0, 2, 2, 3, 8), (3, 1, 4, 2, 1, 4)]
    assert _components(["#.#", ".#."]) == [(0, 0, 3, 2, 3, 12)]  # corners touch
    assert _components(["#.#", "#.#", "###"]) == [(0, 0, 3, 3, 7, 16)]  # two arms that meet late
    assert _components(["###", "#.#", "###"]) == [(0, 0, 3, 3, 8, 16)]  # a hole has a boundary too


def _photograph(seed: int, blur: float = 2.0) -> Pillow.Image:
    """Detail at every scale, as in a photograph (see ``test_picture_report``), out of focus behind what is drawn on."""
    height, width = 270, 360
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None])
    frequency[0, 0] = 1.0
    values = np.fft.ifft2(np.exp(2j * np.pi * rng.random((height, width))) / frequency**1.3).real
    values = 128.0 + 45.0 * (values - values.mean()) / values.std()
    picture = Pillow.fromarray(np.clip(values, 0, 255).astype(np.uint8)).convert("RGB")
    return picture.filter(ImageFilter.GaussianBlur(blur))


def _with_text(picture: Pillow.Image, text: str, size: int, colour: tuple[int, ...]) -> Pillow.Image:
    layer = Pillow.new("RGBA", picture.size)
    ImageDraw.Draw(layer).text((20, 150), text, font=ImageFont.load_default(size), fill=colour)
    return Pillow.alpha_composite(picture.convert("RGBA"), layer).convert("RGB")


@pytest.mark.parametrize("size", [14, 20, 28])
@pytest.mark.parametrize("colour", [(255, 255, 255, 255), (0, 0, 0, 255), (255, 255, 0, 255)], ids=str)
def test_captions_are_found_where_they_are(size: int, colour: tuple[int, ...]) -> None:
    found = 0
    for seed in range(4):
        lettering = detect_text(_with_text(_photograph(seed), "Breaking News 24", size, colour))
        lines = [line for line in lettering.lines if 140 < line.top_px < 150 + 1.5 * size]
        found += bool(lines)
        assert lettering.coverage < 0.2
    assert found >= 3


def test_a_caption_that_is_larger_than_the_rest_comes_first() -> None:
    picture = _with_text(Pillow.new("RGB", (360, 270), "grey"), "Breaking News", 28, (255, 255, 255, 255))
    ImageDraw.Draw(picture).text((20, 20), "watermark", font=ImageFont.load_default(14), fill=(0, 0, 0))
    lines = detect_text(picture).lines
    assert len(lines) == 2
    assert lines[0].top_px > lines[1].top_px


@pytest.mark.parametrize("blur", [0.0, 1.0, 3.0])
def test_what_holds_no_lettering_is_left_alone(blur: float) -> None:
    assert sum(bool(detect_text(_photograph(seed, blur)).lines) for seed in range(6)) == 0


def _bars() -> NDArray[np.uint8]:
    fence = np.full((200, 300), 220, np.uint8)
    fence[60:140, 20:280:20] = 40
    fence[60:140, 21:281:20] = 40
    fence[60:140, 22:282:20] = 40
    return fence


def _windows() -> NDArray[np.uint8]:
    house = np.full((200, 300), 180, np.uint8)
    for row in range(40, 160, 40):
        for column in range(30, 270, 30):
            house[row : row + 20, column : column + 16] = 40
    return house


@pytest.mark.parametrize("picture", [_bars(), _windows()], ids=["fence", "windows"])
def test_rows_of_like_things_are_no_lettering(picture: NDArray[np.uint8]) -> None:
    assert detect_text(Pillow.fromarray(picture)).lines == ()


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (7, 3), (95, 400)])
def test_pictures_that_are_too_small_for_words(size: tuple[int, int]) -> None:
    assert detect_text(Pillow.new("RGB", size)).lines == ()
