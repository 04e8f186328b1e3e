"""The diagnosis of a generated clip: frozen dataclasses that mirror the contract; ``stillcue.reports`` creates them."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class DiagnosisOutcome(enum.StrEnum):
    """Outcome of the checks. ``CLEAN``: no symptom was found, which does not prove that the clip is good."""

    UNKNOWN = "unknown"
    CLEAN = "clean"
    SUSPECT = "suspect"


class SymptomKind(enum.StrEnum):
    """Kinds of faults in a clip. The last three occur in chains.

    ``SEAM_JUMP``, ``COLOUR_SHIFT``: motion or colours jump where a segment begins. ``LOOP_BACK``: the chain returns to
    its beginning.
    """

    UNKNOWN = "unknown"
    SUBJECT_DRIFT = "subject_drift"
    FROZEN = "frozen"
    FLICKER = "flicker"
    SCENE_CUT = "scene_cut"
    FIRST_FRAME = "first_frame"
    MATCH_LOSS = "match_loss"
    BURNT_COLOURS = "burnt_colours"
    POOR_MATCH = "poor_match"
    LOW_CHANCE = "low_chance"
    SEAM_JUMP = "seam_jump"
    COLOUR_SHIFT = "colour_shift"
    LOOP_BACK = "loop_back"


class RemedyKind(enum.StrEnum):
    """Remedies: make prompt and picture match, shorten to one action, another picture, guidance scale.

    For chains also ``SHORTER_CHAIN``, fewer segments, and ``OTHER_STAGE``, another sentence for a segment.
    """

    UNKNOWN = "unknown"
    MATCH = "match"
    SHORTEN = "shorten"
    PICTURE = "picture"
    GUIDANCE = "guidance"
    SHORTER_CHAIN = "shorter_chain"
    OTHER_STAGE = "other_stage"


@dataclass(frozen=True, slots=True)
class Symptom:
    """A fault found in the clip; ``message`` describes it."""

    kind: SymptomKind
    message: str


@dataclass(frozen=True, slots=True)
class Remedy:
    """A remedy to try; ``message`` says why and how."""

    kind: RemedyKind
    message: str


@dataclass(frozen=True, slots=True)
class ClipMetrics:
    """Measures of a clip: light versions of VBench's, not comparable with its leaderboard.

    A clip counts as dynamic from ``vbench_like_dynamic_degree`` 0.25 on. Read the consistencies together with it: a
    frozen clip has perfect consistency. ``motion_speed`` is in shorter sides per second. None: not measured, because
    the server has no scorer; the last three also with an older server.
    """

    vbench_like_subject_consistency: float | None
    vbench_like_background_consistency: float | None
    subject_drift: float | None
    vbench_like_dynamic_degree: float
    motion_speed: float
    vbench_like_temporal_flicker: float
    largest_change: float
    burnt_gain: float
    new_content: float | None = None
    edge_gain: float | None = None
    saturation_gain: float | None = None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Symptoms, most serious first, and remedies, most promising first; both empty where nothing was noticed."""

    outcome: DiagnosisOutcome
    symptoms: tuple[Symptom, ...]
    remedies: tuple[Remedy, ...]
    metrics: ClipMetrics
