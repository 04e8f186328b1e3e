"""Measurements of a chain, from those of its segments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine.api.diagnosis import ClipMetrics, Likeness

Weighted = Sequence[tuple[ClipMetrics, int]]  # of the segments, each with the number of frames that it added


def chain_metrics(parts: Weighted) -> ClipMetrics:
    """Means over the segments, weighted by their frames; ``largest_change`` is the largest.

    Gains and likeness compare frames of one segment, so their means are those of the segments, not of the whole chain.
    """
    return ClipMetrics(
        dynamic_degree=_mean((item.dynamic_degree, count) for item, count in parts),
        motion_speed=_mean((item.motion_speed, count) for item, count in parts),
        temporal_flicker=_mean((item.temporal_flicker, count) for item, count in parts),
        largest_change=max(item.largest_change for item, _ in parts),
        burnt_gain=_mean((item.burnt_gain, count) for item, count in parts),
        likeness=_likeness([(item.likeness, count) for item, count in parts if item.likeness is not None]),
        edge_gain=_mean((item.edge_gain, count) for item, count in parts),
        saturation_gain=_mean((item.saturation_gain, count) for item, count in parts),
    )


def _likeness(parts: Sequence[tuple[Likeness, int]]) -> Likeness | None:
    if not parts:
        return None
    backgrounds = [(item.background_consistency, count) for item, count in parts]
    known = [(value, count) for value, count in backgrounds if value is not None]
    return Likeness(
        _mean((item.subject_consistency, count) for item, count in parts),
        _mean(known) if known else None,
        _mean((item.subject_drift, count) for item, count in parts),
        _mean((item.new_content, count) for item, count in parts),
    )


def _mean(values: Iterable[tuple[float, int]]) -> float:
    pairs = list(values)
    return sum(value * count for value, count in pairs) / sum(count for _, count in pairs)
