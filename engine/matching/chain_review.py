"""Reviews a complete chain: its drift, and the diagnosis of all of its segments together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.analysis.diagnosis.chain_judgement import SegmentFacts, diagnose_chain
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
    """Reviews the complete segments of a chain, each with a diagnosis and an end; ``prompts`` are their sentences.

    ``spec`` holds the bundle's thresholds, None: the default ones. Raises ``ValueError`` for a segment without a
    diagnosis.
    """
    drift = chain_drift([segment.end for segment in segments if segment.end is not None])
    facts = [_facts_of(segment, prompt) for segment, prompt in zip(segments, prompts, strict=True)]
    return ChainReview(drift, diagnose_chain(facts, drift, spec))


def _facts_of(segment: SegmentDone, prompt: str) -> SegmentFacts:
    done = segment.done
    if done.diagnosis is None:
        raise ValueError(f"segment {segment.number} has no diagnosis")
    return SegmentFacts(segment.number, prompt, segment.frame_count, done.diagnosis, done.match_report, segment.seam)
