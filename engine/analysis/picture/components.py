"""Connected components of a mask, with the measures that tell a letter from a leaf.

Runs of a row are joined with touching runs of the row above (8 neighbours), and labels are resolved by pointer jumping,
so that the work is a few passes over arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Ints = NDArray[np.intp]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """Measures of all components, one entry each: half-open edges in pixels, area and boundary in pixels.

    ``perimeter`` counts pixel sides that face the background; ``mean`` and ``deviation`` are those of the values
    inside.
    """

    left: Ints
    top: Ints
    right: Ints
    bottom: Ints
    area: Ints
    perimeter: Ints
    mean: Floats
    deviation: Floats

    @property
    def width(self) -> Ints:
        """Width in pixels."""
        return self.right - self.left

    @property
    def height(self) -> Ints:
        """Height in pixels."""
        return self.bottom - self.top

    def where(self, chosen: Mask | Ints) -> Components:
        """The components that a mask or indices select."""
        return Components(*(getattr(self, name)[chosen] for name in self.__slots__))


def components_of(mask: Mask, values: NDArray[np.uint8]) -> Components:
    """The components of a mask [H, W]; ``values`` [H, W] are what ``mean`` and ``deviation`` are taken of."""
    rows, starts, ends = _runs(mask)
    label = _settled(*_touching(rows, starts, ends), count=len(rows))
    _, label = np.unique(label, return_inverse=True)
    count = int(label.max()) + 1 if len(label) else 0
    left, top = np.full(count, mask.shape[1]), np.full(count, mask.shape[0])
    right, bottom = np.zeros(count, np.intp), np.zeros(count, np.intp)
    np.minimum.at(left, label, starts)
    np.maximum.at(right, label, ends)
    np.minimum.at(top, label, rows)
    np.maximum.at(bottom, label, rows + 1)
    area = np.bincount(label, ends - starts, count).astype(np.intp)
    # A run has its length above and below, less what touches runs there, and two ends.
    contacts = _sums(_vertical_contacts(mask), rows, starts, ends)
    perimeter = np.bincount(label, 2 * (ends - starts) - contacts + 2, count).astype(np.intp)
    sizes = np.maximum(area, 1)
    mean = np.bincount(label, _sums(values, rows, starts, ends), count) / sizes
    square = np.bincount(label, _sums(values.astype(np.intp) ** 2, rows, starts, ends), count) / sizes
    deviation = np.sqrt(np.maximum(square - mean**2, 0.0))
    return Components(left, top, right, bottom, area, perimeter, mean, deviation)


def _sums(values: NDArray[np.integer[Any]], rows: Ints, starts: Ints, ends: Ints) -> Ints:
    """Sum of values over each run."""
    sums = np.concatenate([[0], np.cumsum(values.ravel(), dtype=np.intp)])
    first = rows * values.shape[1]
    total: Ints = sums[first + ends] - sums[first + starts]
    return total


def _runs(mask: Mask) -> tuple[Ints, Ints, Ints]:
    """Row, start and end of every run of set pixels, in reading order."""
    height, width = mask.shape
    padded = np.zeros((height, width + 2), np.int8)
    padded[:, 1:-1] = mask
    steps = np.diff(padded, axis=1)
    rows, starts = np.nonzero(steps == 1)
    _, ends = np.nonzero(steps == -1)
    return rows, starts, ends


def _touching(rows: Ints, starts: Ints, ends: Ints) -> tuple[Ints, Ints]:
    """Pairs of runs of neighbouring rows that touch, corners included."""
    span = int(ends.max()) + 2 if len(ends) else 2
    # Position in reading order makes one sorted axis of all rows.
    first_keys, last_keys = rows * span + starts, rows * span + ends
    low = np.searchsorted(last_keys, (rows - 1) * span + starts, side="left")  # ends at or after my start
    high = np.searchsorted(first_keys, (rows - 1) * span + ends, side="right")  # starts at or before my end
    low = np.maximum(low, np.searchsorted(rows, rows - 1, side="left"))
    high = np.minimum(high, np.searchsorted(rows, rows, side="left"))
    counts = np.maximum(high - low, 0)
    lower = np.repeat(np.arange(len(rows)), counts)
    within = np.arange(len(lower)) - np.repeat(np.cumsum(counts) - counts, counts)
    return lower, np.repeat(low, counts) + within


def _settled(first: Ints, second: Ints, count: int) -> Ints:
    """For each of ``count`` nodes the smallest node that edges connect to it."""
    label = np.arange(count)
    while True:
        lowest = np.minimum(label[first], label[second])
        new = label.copy()
        np.minimum.at(new, label[first], lowest)
        np.minimum.at(new, label[second], lowest)
        while not np.array_equal(new, new[new]):
            new = new[new]
        if np.array_equal(new, label):
            return label
        label = new


def _vertical_contacts(mask: Mask) -> NDArray[np.int8]:
    """For each pixel the number of set pixels directly above and below."""
    count = np.zeros(mask.shape, np.int8)
    count[1:] += mask[:-1]
    count[:-1] += mask[1:]
    return count
