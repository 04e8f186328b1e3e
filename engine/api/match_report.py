"""The match report of a picture and a prompt: score, clauses, place of the subject, crops.

Boxes are in pixels of the scored picture; spans count code points of the prompt as sent. Formulas: docs/scoring.md.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from engine.api.media import Box
from engine.api.picture_report import PictureReport
from engine.api.prompt_report import ClauseKind, Language, Noun, PromptReport, Span


class MatchVerdict(enum.Enum):
    """A match score as a word."""

    GOOD = "good"
    DOUBTFUL = "doubtful"
    POOR = "poor"


class MatchBasis(enum.Enum):
    """CALIBRATED: the scorer's probabilities were fitted on labelled pairs."""

    UNCALIBRATED = "uncalibrated"
    CALIBRATED = "calibrated"


class SuccessBasis(enum.Enum):
    """Source of a probability of success: two published figures less the findings on the sentence, or outcomes."""

    ARTICLE_PRIOR = "article_prior"
    MEASURED = "measured"


@dataclass(frozen=True, slots=True)
class ClauseScore:
    """Match of one clause with the picture.

    ``contrast`` is the margin m, a natural logarithm: how far the clause's logit lies above those of other subjects,
    actions or scenes for the same picture. ``probability`` is the calibrated m, 0..1. ``gated_probability`` is
    ``probability`` times that of the clause's subject, so that the action of an absent subject cannot score high; the
    score is made of it. All three are None, and ``weight`` is 0, for clauses that a still picture cannot show.
    ``stage`` counts actions from 1; it is 0 for other kinds.
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
class SuccessFactor:
    """A figure that the probability of success depends on, and what it adds to the log odds, by natural logarithm.

    ``log_odds`` is the estimate's less that with the figure's value for a faultless pair or clip and all others as they
    are; it is 0 for figures that the estimate does not use.
    """

    name: str
    value: float
    log_odds: float = 0.0


@dataclass(frozen=True, slots=True)
class SuccessEstimate:
    """Probability, 0..1, that a clip of this pair succeeds, or, after the clip, that the clip did.

    ``brier_score`` and ``calibration_error`` were measured on held-out outcomes; both are None for ``ARTICLE_PRIOR``.
    """

    probability: float
    basis: SuccessBasis
    brier_score: float | None = None
    calibration_error: float | None = None
    factors: tuple[SuccessFactor, ...] = ()


@dataclass(frozen=True, slots=True)
class Grounding:
    """Place of the subject in the picture.

    ``heat_map`` has rows from the top with values 0..1, one for each patch of the picture squashed to the scorer's
    square. ``box`` is None if the subject was not found; the measures are then 0. For a box w x h of a picture W x H,
    ``coverage`` is max(w/W, h/H) and ``strict_coverage`` is w·h / W·H. ``center_x`` and ``center_y`` are the subject's
    centre of mass as shares of width and height; ``center_offset`` is the larger of their distances from the middle,
    0..0.5.
    """

    heat_map: tuple[tuple[float, ...], ...]
    box: Box | None
    coverage: float
    strict_coverage: float
    center_x: float
    center_y: float
    center_offset: float


@dataclass(frozen=True, slots=True)
class Placing:
    """Place of the main thing in the picture: of the subject, or if that was not found, of the likeliest other one.

    ``coverage`` and ``center_offset`` as in ``Grounding``, 0 if nothing was found. ``clutter`` says how much the rest
    of the picture looks like other things than a scene; 0: not at all.
    """

    coverage: float
    center_offset: float
    clutter: float


@dataclass(frozen=True, slots=True)
class CropProposal:
    """The part of the picture to cut out for one compiled size. It has the exact aspect of that size.

    ``scale`` is clip pixels per picture pixel; above 1 the crop is enlarged. ``subject_share`` is the share of the
    subject's box inside the crop, 0..1. ``coverage`` and ``strict_coverage`` are those of ``Grounding`` within the
    crop.
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
    """Match of a picture and a prompt.

    ``score`` is 0..100; a sentence without a subject or a clear motion reaches a part of that only. ``similarity`` is a
    cosine and ``contrast`` a natural logarithm, both of the whole prompt without what was pasted. ``plausibility`` is
    the lowest ungated probability of an action, None without an action. ``calibration_error`` is the expected
    calibration error of the probabilities on held-out pairs, None if they are uncalibrated. ``missing_nouns`` are
    things that the prompt names and the picture does not show. ``crops`` has one proposal for each compiled size.
    ``success``, ``prompt_report`` and ``picture_report`` are None before the report is enriched. ``placing`` is None if
    no clause was judged.
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
    placing: Placing | None = None
