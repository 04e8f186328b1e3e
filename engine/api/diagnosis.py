"""The diagnosis of a finished clip: measurements, symptoms, remedies."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class SymptomKind(enum.Enum):
    """Faults of a clip, most serious first."""

    SCENE_CUT = "scene_cut"
    SUBJECT_DRIFT = "subject_drift"
    MATCH_LOSS = "match_loss"
    FROZEN = "frozen"
    FLICKER = "flicker"
    BURNT_COLOURS = "burnt_colours"
    FIRST_FRAME = "first_frame"
    POOR_MATCH = "poor_match"
    LOW_CHANCE = "low_chance"
    SEAM_JUMP = "seam_jump"
    COLOUR_SHIFT = "colour_shift"
    LOOP_BACK = "loop_back"


class RemedyKind(enum.Enum):
    """Remedies, in the order in which they are listed without evidence for one of them. The last two are for chains."""

    MATCH = "match"
    SHORTEN = "shorten"
    PICTURE = "picture"
    GUIDANCE = "guidance"
    SHORTER_CHAIN = "shorter_chain"
    OTHER_STAGE = "other_stage"


@dataclass(frozen=True, slots=True)
class Symptom:
    """A fault that the measurements suggest. ``message`` gives the measurement."""

    kind: SymptomKind
    message: str


@dataclass(frozen=True, slots=True)
class Remedy:
    """Advice for the next attempt. ``message`` gives the reason and what to change."""

    kind: RemedyKind
    message: str


@dataclass(frozen=True, slots=True)
class Likeness:
    """Consistency of sampled frames by the scorer's features. Formulas: ``engine.analysis.diagnosis.likeness``.

    ``background_consistency`` is None if the subject fills the whole picture. ``new_content`` is what the end of the
    clip shows and its first frame does not: 0 for nothing.
    """

    subject_consistency: float
    background_consistency: float | None
    subject_drift: float
    new_content: float = 0.0


@dataclass(frozen=True, slots=True)
class ClipMetrics:
    """Measurements of a clip.

    Definitions: ``engine.analysis.diagnosis.clip_watch``. ``likeness`` is None without a scorer.

    ``dynamic_degree``, ``temporal_flicker``, ``largest_change`` and ``burnt_gain`` are shares; ``motion_speed`` is in
    shorter sides per second. ``edge_gain`` is a logarithm, ``saturation_gain`` a difference of saturations of 0..1.
    """

    dynamic_degree: float
    motion_speed: float
    temporal_flicker: float
    largest_change: float
    burnt_gain: float
    likeness: Likeness | None = None
    edge_gain: float = 0.0
    saturation_gain: float = 0.0


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Symptoms, most serious first, and remedies, most promising first. Both are empty for a clip without symptoms."""

    symptoms: tuple[Symptom, ...]
    remedies: tuple[Remedy, ...]
    metrics: ClipMetrics
