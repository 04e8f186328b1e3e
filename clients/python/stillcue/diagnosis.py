"""What a server says about a clip that it made. Plain frozen data; ``stillcue.reports`` fills these in."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class DiagnosisOutcome(enum.StrEnum):
    """How a clip looks. ``CLEAN``: nothing was noticed, which is no promise."""

    UNKNOWN = "unknown"
    CLEAN = "clean"
    SUSPECT = "suspect"


class SymptomKind(enum.StrEnum):
    """Ways in which a clip goes wrong."""

    UNKNOWN = "unknown"
    SUBJECT_DRIFT = "subject_drift"
    FROZEN = "frozen"
    FLICKER = "flicker"
    SCENE_CUT = "scene_cut"
    FIRST_FRAME = "first_frame"
    MATCH_LOSS = "match_loss"
    BURNT_COLOURS = "burnt_colours"
    POOR_MATCH = "poor_match"


class RemedyKind(enum.StrEnum):
    """The four remedies: make sentence and picture match, shorten to one action, another picture, guidance."""

    UNKNOWN = "unknown"
    MATCH = "match"
    SHORTEN = "shorten"
    PICTURE = "picture"
    GUIDANCE = "guidance"


@dataclass(frozen=True, slots=True)
class Symptom:
    """Something that seems to have gone wrong, in words."""

    kind: SymptomKind
    message: str


@dataclass(frozen=True, slots=True)
class Remedy:
    """Something to try, in words."""

    kind: RemedyKind
    message: str


@dataclass(frozen=True, slots=True)
class ClipMetrics:
    """Figures of a clip, light versions of VBench's and not comparable with its leaderboard.

    A clip is dynamic from ``vbench_like_dynamic_degree`` 0.25 on; read consistency beside it, because a frozen clip is
    as consistent as can be. ``motion_speed`` is in shorter sides a second. None: not measured, for want of a scorer.
    """

    vbench_like_subject_consistency: float | None
    vbench_like_background_consistency: float | None
    subject_drift: float | None
    vbench_like_dynamic_degree: float
    motion_speed: float
    vbench_like_temporal_flicker: float
    largest_change: float
    burnt_gain: float


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Symptoms, most serious first, and remedies, most promising first; both empty where nothing was noticed."""

    outcome: DiagnosisOutcome
    symptoms: tuple[Symptom, ...]
    remedies: tuple[Remedy, ...]
    metrics: ClipMetrics
