"""Finds text in pictures: captions, watermarks, signs. Does not read it.

Does what an MSER detector with geometry filters does, in numpy, to spare the server OpenCV. Strokes stand out from
their surroundings in one direction, dark or bright; letters are strokes of one thickness, flat in tone, in a line with
others of their height; and a line stands alone: little around it stands out half as much, which separates print from
foliage. Fewer than four letters are not found, nor are letters below about 7 px at a longest side of 512 px. Recall and
false alarms on drawn pictures: tests/test_text_detection.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageFilter

from engine.analysis.picture.components import Components, Ints, components_of
from engine.api.media import Box

_LONGEST_SIDE_PX = 512
_SHORTEST_SIDE_PX = 96  # of a picture that is looked at; in smaller ones no four letters are legible
_SURROUNDINGS_PX = (6, 20)  # radii of the mean that strokes are held against: thin letters and thick ones
_CONTRAST = 22  # of 255, between a pixel of a stroke and its surroundings
_SMALLEST_HEIGHT_PX, _LARGEST_HEIGHT = 6, 0.3  # the latter as a share of the picture's height
_STROKE = (0.06, 0.30)  # thickness over height; a disc has 0.39, a square 0.5
_WIDTH = (0.12, 2.2)  # width over height; the upper end leaves room for two letters that touch
_LEAST_COUNT = 4  # letters in a line
_ALIKE = 0.35  # standard deviation over mean of heights, and of strokes
_VARIETY = 0.08  # standard deviation over mean of areas, at least: no word is one letter repeated
_FILL = 0.38  # area over box, on average
# Area of a line's letters over what stands out half as much around it. In pictures with the spectrum of photographs
# chance gives 0.5 in one line of a hundred; captions have 0.6 to 1 unless their ground is as busy as they are.
_ISOLATION = 0.6
_LETTER_ISOLATION = 0.5  # the same of one letter in its own box


Edges = tuple[int, int, int, int]  # left, top, right, bottom


@dataclass(frozen=True, slots=True)
class DetectedText:
    """Lines of text, largest first, in pixels of the picture. ``coverage`` is their share of its area, 0..1."""

    lines: tuple[Box, ...]
    coverage: float


def detect_text(picture: Pillow.Image) -> DetectedText:
    """Finds lines of text in a picture of any mode; takes about 0.1 s for any size."""
    if min(picture.size) < _SHORTEST_SIDE_PX:
        return DetectedText((), 0.0)
    scale = min(1.0, _LONGEST_SIDE_PX / max(picture.size))
    size = (max(round(picture.width * scale), 1), max(round(picture.height * scale), 1))
    small = picture.convert("L").resize(size, Pillow.Resampling.BOX)
    boxes = [box for radius in _SURROUNDINGS_PX for box in _lines_against(small, radius)]
    merged = _merged(boxes)
    covered = sum((right - left) * (bottom - top) for left, top, right, bottom in merged)
    lines = sorted((_box_of(edges, picture, size) for edges in merged), key=lambda box: -box.width_px * box.height_px)
    return DetectedText(tuple(lines), min(covered / (size[0] * size[1]), 1.0))


def _lines_against(luminance: Pillow.Image, radius: int) -> Iterator[Edges]:
    values = np.asarray(luminance, np.uint8)
    surroundings = np.asarray(luminance.filter(ImageFilter.BoxBlur(radius)), np.int16)
    for difference in (surroundings - values, values - surroundings):  # dark strokes, bright ones
        around = _SumOver(difference > _CONTRAST / 2)
        found = components_of(difference > _CONTRAST, values)
        alone = found.area >= _LETTER_ISOLATION * around.sum(found.left, found.top, found.right, found.bottom)
        letters = _letters(found.where(alone), values.shape[0])
        for line in _lines(letters):
            edges = _edges(letters, line)
            if letters.area[line].sum() >= _ISOLATION * around.near(edges):
                yield edges


class _SumOver:
    """Counts set pixels of a mask in rectangles, from cumulative sums."""

    def __init__(self, mask: NDArray[np.bool_]) -> None:
        self._sums = np.pad(mask.cumsum(axis=0, dtype=np.int64).cumsum(axis=1), ((1, 0), (1, 0)))

    def sum(self, left: Ints, top: Ints, right: Ints, bottom: Ints) -> Ints:
        """The number of set pixels in each of some rectangles."""
        sums = self._sums
        total: Ints = sums[bottom, right] - sums[bottom, left] - sums[top, right] + sums[top, left]
        return total

    def near(self, edges: Edges) -> int:
        """The number of set pixels in a rectangle with a margin of a third of its height."""
        height, width = (side - 1 for side in self._sums.shape)
        left, top, right, bottom = edges
        margin = max((bottom - top) // 3, 2)
        wider = max(left - margin, 0), max(top - margin, 0), min(right + margin, width), min(bottom + margin, height)
        return int(self.sum(*(np.array([edge]) for edge in wider))[0])


def _letters(found: Components, picture_height: int) -> Components:
    """Components that have the shape of a letter, from left to right."""
    height, width = found.height, found.width
    stroke = 2.0 * found.area / np.maximum(found.perimeter, 1) / np.maximum(height, 1)
    chosen = (height >= _SMALLEST_HEIGHT_PX) & (height <= _LARGEST_HEIGHT * picture_height)
    chosen &= (stroke >= _STROKE[0]) & (stroke <= _STROKE[1])
    chosen &= (width >= _WIDTH[0] * height) & (width <= _WIDTH[1] * height)
    chosen &= found.deviation <= 40.0
    letters = found.where(chosen)
    return letters.where(np.argsort(letters.left, kind="stable"))


def _lines(letters: Components) -> Iterator[NDArray[np.intp]]:
    """Rows of neighbouring letters of one height, tone and thickness, as indices."""
    following = _followers(letters)
    is_followed = np.zeros(len(letters.left), np.bool_)
    is_followed[following[following >= 0]] = True
    for first in np.flatnonzero(~is_followed):
        line = [int(first)]
        while following[line[-1]] >= 0:
            line.append(int(following[line[-1]]))
        if _is_text_line(letters, np.array(line)):
            yield np.array(line)


def _edges(letters: Components, line: NDArray[np.intp]) -> Edges:
    left, top = letters.left[line].min(), letters.top[line].min()
    return int(left), int(top), int(letters.right[line].max()), int(letters.bottom[line].max())


def _followers(letters: Components) -> NDArray[np.intp]:
    """For each letter the nearest one to its right that continues its line; -1 if there is none."""
    count = len(letters.left)
    following = np.full(count, -1, np.intp)
    taken = np.zeros(count, np.bool_)
    middle, height = (letters.top + letters.bottom) / 2, letters.height
    for index in range(count):
        reach = letters.right[index] + 1.2 * height[index]
        end = int(np.searchsorted(letters.left, reach, side="right"))
        others = np.arange(index + 1, end)
        if not len(others):
            continue
        lower = np.minimum(height[index], height[others])
        near = letters.left[others] >= letters.right[index] - 0.3 * height[index]
        near &= np.maximum(height[index], height[others]) <= 2.0 * lower
        near &= np.abs(middle[others] - middle[index]) <= 0.5 * np.maximum(height[index], height[others])
        near &= np.abs(letters.mean[others] - letters.mean[index]) <= 40.0
        near &= ~taken[others]
        if near.any():
            following[index] = others[near][0]
            taken[following[index]] = True
    return following


def _is_text_line(letters: Components, line: NDArray[np.intp]) -> bool:
    if len(line) < _LEAST_COUNT:
        return False
    width, height = letters.width[line], letters.height[line].astype(np.float64)
    stroke = letters.area[line] / np.maximum(letters.perimeter[line], 1)
    middle = (letters.top[line] + letters.bottom[line]) / 2
    unlike = max(height.std() / height.mean(), stroke.std() / stroke.mean())
    slanted = np.abs(middle - np.linspace(middle[0], middle[-1], len(line))).max() / height.mean()
    has_breadth = (width >= 0.4 * height).mean() >= 0.5  # bars of a fence have none
    is_full = (letters.area[line] / (width * height)).mean() >= _FILL
    area = letters.area[line]
    varies = area.std() / area.mean() >= _VARIETY  # windows of a house do not
    return bool(unlike <= _ALIKE and slanted <= 0.5 and has_breadth and is_full and varies)


def _merged(boxes: list[Edges]) -> list[Edges]:
    """Merges boxes that overlap: one line is found dark, bright, and at both radii."""
    merged: list[Edges] = []
    for box in boxes:
        left, top, right, bottom = box
        while touching := next(
            (o for o in merged if o[0] < right and left < o[2] and o[1] < bottom and top < o[3]), None
        ):
            merged.remove(touching)
            left, top = min(left, touching[0]), min(top, touching[1])
            right, bottom = max(right, touching[2]), max(bottom, touching[3])
        merged.append((left, top, right, bottom))
    return merged


def _box_of(edges: Edges, picture: Pillow.Image, size: tuple[int, int]) -> Box:
    x, y = picture.width / size[0], picture.height / size[1]
    left, top, right, bottom = edges
    return Box(round(left * x), round(top * y), max(round((right - left) * x), 1), max(round((bottom - top) * y), 1))
