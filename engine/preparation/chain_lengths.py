"""Arithmetic of chains: which compiled lengths fill a clip.

A chain of the compiled lengths F1, F2, … has F1 + (F2 - given) + … frames, where ``given`` is the number of frames that
each segment repeats from the one before. The last segment may be cut. Knows no job and no size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def nearest_frame_count(frame_count: float) -> int:
    """The number 4n + 1 that is nearest, at least 1. ``frame_count`` must be finite."""
    return max(round((frame_count - 1) / 4) * 4 + 1, 1)


def chain_frame_count(lengths: Sequence[int], given: int) -> int:
    """Number of frames of a chain with segments of these lengths, none of them cut."""
    return sum(lengths) - given * (len(lengths) - 1)


def fewest_computed(
    frame_count: int, lengths: Sequence[int], given: int, max_segment_count: int
) -> tuple[int, ...] | None:
    """The lengths of the chain that fills a clip with the fewest computed frames; of equals, the fewest segments.

    Longest first; None if no chain fills it. A first segment needs at least ``given`` frames where another follows, a
    later one needs more.
    """
    if frame_count in lengths:
        return (frame_count,)
    best: tuple[int, ...] | None = None
    firsts = [length for length in lengths if length >= given]
    for followers in _followers([length for length in lengths if length > given], max_segment_count - 1):
        chains = [
            (first, *followers[total])
            for first in firsts
            for total in followers
            if first + total - given * len(followers[total]) >= frame_count
        ]
        cheapest = min(chains, key=sum, default=None)
        if cheapest is not None and (best is None or sum(cheapest) < sum(best)):
            best = cheapest
    if best is None or min(best) <= given:  # so short a segment can only be the first
        return best
    return tuple(sorted(best, reverse=True))


def _followers(lengths: Sequence[int], max_count: int) -> Iterator[dict[int, tuple[int, ...]]]:
    """For each number of later segments, from 0: one choice of lengths for each sum that can be reached."""
    chosen: dict[int, tuple[int, ...]] = {0: ()}
    for _ in range(max_count + 1):
        yield chosen
        chosen = {total + length: (*chosen[total], length) for total in chosen for length in lengths}
