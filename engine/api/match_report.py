"""What is said about a picture and a sentence together: score, clauses, place of the subject, crops. Frozen data.

Boxes are in pixels of the picture that was scored; spans are code points of the sentence. Formulas stand in
``engine.matching`` and docs/scoring.md. Imported through ``engine.api``.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from engine.api.media import Box
from engine.api.picture_report import PictureReport
from engine.api.prompt_report import ClauseKind, Language, Noun, PromptReport, Span


class MatchVerdict(enum.Enum):
    """A match score in words."""

    GOOD = "good"
    DOUBTFUL = "doubtful"
    POOR = "poor"


class MatchBasis(enum.Enum):
    """What a match score rests on: calibrated means fitted on labelled pairs of this scorer."""

    UNCALIBRATED = "uncalibrated"
    CALIBRATED = "calibrated"


class SuccessBasis(enum.Enum):
    """What a probability of success rests on: two published figures, or outcomes that were measured."""

    ARTICLE_PRIOR = "article_prior"
    MEASURED = "measured"


@dataclass(frozen=True, slots=True)
class ClauseScore:
    """How well one clause fits the picture.

    ``contrast`` is m, a natural logarithm: how far the clause stands above what the same picture gives for other
    subjects, actions or scenes. ``probability`` is m calibrated, 0..1, before the soft gate; ``gated_probability`` is
    multiplied by that of the subject, so that the action of an absent subject cannot score high, and is what the
    score is made of. All three are None for clauses that a still picture cannot show, and ``weight`` is then 0.
    ``stage`` counts actions from 1, 0 for other kinds.
    """

    kind: ClauseKind
    span: Span
    text: str
    language: Language
    stage: int
    contrast: float | None
    probability: float | None
    gated_probability: float | None
    weight: float


@dataclass(frozen=True, slots=True)
class SuccessEstimate:
    """How likely a clip from this pair succeeds, 0..1.

    The last two say how good the estimate was on outcomes that it was not fitted on; None for ``ARTICLE_PRIOR``.
    """

    probability: float
    basis: SuccessBasis
    brier_score: float | None = None
    calibration_error: float | None = None


@dataclass(frozen=True, slots=True)
class Grounding:
    """Where in the picture the subject is.

    ``heat_map`` has rows from the top, values 0..1, one for each patch of the picture squashed to the scorer's square.
    ``box`` is None where the subject was not found; the measures are then 0. ``coverage`` is max(w/W, h/H) of the box,
    which a tall or long subject can reach as well; ``strict_coverage`` is w·h / W·H. ``center_x`` and ``center_y`` are
    the subject's centre of mass as shares of width and height; ``center_offset`` is the larger of their distances
    from the middle, 0..0.5.
    """

    heat_map: tuple[tuple[float, ...], ...]
    box: Box | None
    coverage: float
    strict_coverage: float
    center_x: float
    center_y: float
    center_offset: float


@dataclass(frozen=True, slots=True)
class CropProposal:
    """The window to cut out for one compiled size: of its exact aspect, so that nothing is stretched.

    ``scale`` is pixels of the clip for each pixel of the picture, above 1 where it is enlarged. ``subject_share`` is
    how much of the subject's box lies inside, 0..1; ``coverage`` and ``strict_coverage`` are those of ``Grounding``
    once the picture is cut.
    """

    width_px: int
    height_px: int
    crop: Box
    scale: float
    subject_share: float
    coverage: float
    strict_coverage: float


@dataclass(frozen=True, slots=True)
class MatchReport:
    """How well a picture and a sentence match.

    ``score`` is 0..100. ``similarity`` is a cosine and ``contrast`` a natural logarithm, both of the whole sentence.
    ``plausibility`` is the lowest probability of an action before the soft gate, None where no action is told.
    ``calibration_error`` is the expected calibration error of the probabilities on held-out pairs, None where they are
    uncalibrated. ``missing_nouns`` are things that the sentence names and the picture does not show. ``crops`` has
    one proposal for each compiled size. The reports on prompt and picture are None where nobody asked for them.
    """

    score: float
    verdict: MatchVerdict
    similarity: float
    contrast: float
    basis: MatchBasis
    clauses: tuple[ClauseScore, ...] = ()
    plausibility: float | None = None
    success: SuccessEstimate | None = None
    calibration_error: float | None = None
    grounding: Grounding | None = None
    missing_nouns: tuple[Noun, ...] = ()
    crops: tuple[CropProposal, ...] = ()
    prompt_report: PromptReport | None = None
    picture_report: PictureReport | None = None
