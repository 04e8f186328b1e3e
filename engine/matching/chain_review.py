"""Reviews a complete chain: its drift, and the diagnosis of all of its segments together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.analysis.diagnosis.loop_back import chain_drift
from engine.api.chain import ChainDrift
from engine.api.diagnosis import Diagnosis
from engine.api.events import SegmentDone
from engine.bundle.diagnosis_spec import DiagnosisSpec


@dataclass(frozen=True, slots=True)
class ChainReview:
    """The drift and the diagnosis of a chain."""

    drift: ChainDrift
    diagnosis: Diagnosis


def review_chain(
    segments: Sequence[SegmentDone], prompts: Sequence[str], spec: DiagnosisSpec | None = None
) -> ChainReview:
    """Reviews the complete segments of a chain, of which each has a diagnosis and an end; ``prompts`` are theirs.

    ``spec`` holds the bundle's thresholds, None: the default ones.
    """
    drift = chain_drift([segment.end for segment in segments if segment.end is not None])
    diagnosis = segments[0].done.diagnosis
    assert diagnosis is not None
    return ChainReview(drift, diagnosis)
