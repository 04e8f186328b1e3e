"""What is said about a clip that is done: figures, symptoms, remedies. Plain frozen data. Knows no formula."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class SymptomKind(enum.Enum):
    """Ways in which a clip goes wrong, most serious first."""

    SCENE_CUT = "scene_cut"
    SUBJECT_DRIFT = "subject_drift"
    MATCH_LOSS = "match_loss"
    FROZEN = "frozen"
    FLICKER = "flicker"
    BURNT_COLOURS = "burnt_colours"
    FIRST_FRAME = "first_frame"
    POOR_MATCH = "poor_match"


class RemedyKind(enum.Enum):
    """The four remedies, in the order in which they are tried where nothing speaks for one of them."""

    MATCH = "match"
    SHORTEN = "shorten"
    PICTURE = "picture"
    GUIDANCE = "guidance"


@dataclass(frozen=True, slots=True)
class Symptom:
    """Something that seems to have gone wrong, with what was seen in words."""

    kind: SymptomKind
    message: str


@dataclass(frozen=True, slots=True)
class Remedy:
    """Something to try, with why and how in words."""

    kind: RemedyKind
    message: str


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike sampled frames are by a scorer's features; see ``engine.analysis.diagnosis.likeness``.

    ``background_consistency`` is None where the subject takes the whole picture.
    """

    subject_consistency: float
    background_consistency: float | None
    subject_drift: float


@dataclass(frozen=True, slots=True)
class ClipMetrics:
    """Figures of a clip; see ``engine.analysis.diagnosis.clip_watch``. ``likeness`` is None without a scorer.

    ``dynamic_degree``, ``temporal_flicker``, ``largest_change`` and ``burnt_gain`` are shares; ``motion_speed`` is in
    shorter sides a second.
    """

    dynamic_degree: float
    motion_speed: float
    temporal_flicker: float
    largest_change: float
    burnt_gain: float
    likeness: Likeness | None = None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Symptoms, most serious first, and remedies, most promising first; both empty where nothing was noticed."""

    symptoms: tuple[Symptom, ...]
    remedies: tuple[Remedy, ...]
    metrics: ClipMetrics
