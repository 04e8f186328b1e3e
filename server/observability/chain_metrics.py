"""The metrics of chains: their segments, how well these join, and how far the end is from the beginning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.observability.metric_table import PROBABILITIES

if TYPE_CHECKING:
    from engine.api.events import Chain, SegmentDone
    from server.observability.metric_table import MetricTable

COMPLETE, STOPPED = "complete", "stopped"
_JUMPS = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5)


class ChainMetrics:
    """The metrics of chains, in the order of ``table.rows``."""

    def __init__(self, table: MetricTable) -> None:
        self._chains = table.counter(
            "stillcue_chains_total",
            f"Chains that the engine ended, of each attempt: `{COMPLETE}`, or `{STOPPED}` because a later segment "
            "matched less than the request requires.",
            ("outcome",),
            (COMPLETE, STOPPED),
        )
        self._segments = table.counter("stillcue_segments_total", "Segments of chains that the engine completed.")
        self._motion_jump = table.histogram(
            "stillcue_seam_motion_jump",
            "Change of motion where a segment of a chain begins, less its median inside the segments, at least 0, as a "
            "share of the shorter side.",
            buckets=_JUMPS,
        )
        self._colour_shift = table.histogram(
            "stillcue_seam_colour_shift",
            "Shift of the mean colour where a segment of a chain begins, less its median inside the segments, at least "
            "0, as a share of the range of values.",
            buckets=_JUMPS,
        )
        self._subject_consistency = table.histogram(
            "stillcue_chain_subject_consistency",
            "Likeness of the subject at the end of a chain to that in its first frame, up to 1. Only scored chains "
            "count.",
            buckets=PROBABILITIES,
        )
        self._loop_back = table.histogram(
            "stillcue_chain_loop_back",
            "How far a chain returns to its beginning at its end, 0 or more. Only scored chains count.",
            buckets=PROBABILITIES,
        )

    def observe_segment(self, segment: SegmentDone, exemplar: dict[str, str] | None) -> None:
        """Counts a complete segment, and its seam if it has one."""
        self._segments.inc()
        if (seam := segment.seam) is not None:
            self._motion_jump.observe(max(seam.motion_jump - seam.motion_jump_inside, 0.0), exemplar)
            self._colour_shift.observe(max(seam.colour_shift - seam.colour_shift_inside, 0.0), exemplar)

    def observe_chain(self, chain: Chain, exemplar: dict[str, str] | None) -> None:
        """Counts a chain that ended, and its drift as far as it is known."""
        self._chains.labels(COMPLETE if chain.stop is None else STOPPED).inc()
        if chain.drift.subject_consistency is not None:
            self._subject_consistency.observe(chain.drift.subject_consistency, exemplar)
        if chain.drift.loop_back is not None:
            self._loop_back.observe(chain.drift.loop_back, exemplar)
