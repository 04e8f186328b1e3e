"""The match report of a picture and a prompt: frozen dataclasses that mirror the contract with Python types.

Boxes are in pixels of the picture as sent, spans in characters of the prompt, shares and probabilities from 0 to 1.
Imports no protobuf and no gRPC; ``stillcue.reports`` creates them.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field


class MatchMode(enum.StrEnum):
    """How Generate uses the match score: not at all, as a report, or as a requirement."""

    OFF = "off"
    REPORT = "report"
    REQUIRE = "require"


class MatchVerdict(enum.StrEnum):
    """Verdict on a match score: good from 70, doubtful from 40, poor below."""

    UNKNOWN = "unknown"
    GOOD = "good"
    DOUBTFUL = "doubtful"
    POOR = "poor"


class MatchBasis(enum.StrEnum):
    """Basis of a match score; ``UNCALIBRATED``: the mapping to 0..100 was not fitted on labelled pairs."""

    UNKNOWN = "unknown"
    UNCALIBRATED = "uncalibrated"
    CALIBRATED = "calibrated"


class SuccessBasis(enum.StrEnum):
    """Basis of a probability of success; ``ARTICLE_PRIOR``: a line through two published figures."""

    UNKNOWN = "unknown"
    ARTICLE_PRIOR = "article_prior"
    MEASURED = "measured"


class ClauseKind(enum.StrEnum):
    """Kinds of parts of a prompt."""

    UNKNOWN = "unknown"
    SUBJECT = "subject"
    ACTION = "action"
    ENVIRONMENT = "environment"
    CAMERA = "camera"
    STYLE = "style"


class FindingSeverity(enum.StrEnum):
    """Severity: an error makes a clip not worthwhile, a warning may spoil it, an info is a possible improvement."""

    UNKNOWN = "unknown"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of the picture as sent, after its EXIF rotation."""

    left_px: int
    top_px: int
    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True)
class TextSpan:
    """A part of the prompt: ``prompt[span.start : span.end]``."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class ClauseScore:
    """A clause of the prompt and how well the picture shows it.

    ``probability`` and the fields computed from it are None for what a still picture cannot show: camera moves and
    style. ``gated_probability`` is ``probability`` times that of the subject; the score combines these by ``weight``.
    ``stage`` numbers actions from 1 and is 0 for other clauses.
    """

    kind: ClauseKind
    span: TextSpan
    text: str
    stage: int
    probability: float | None
    gated_probability: float | None
    weight: float
    contrast: float | None


@dataclass(frozen=True, slots=True)
class SuccessFactor:
    """A figure that a probability of success depends on; names are added with time.

    ``log_odds`` is what it adds to the natural logarithm of the odds, compared with its best value.
    """

    name: str
    value: float
    log_odds: float


@dataclass(frozen=True, slots=True)
class SuccessEstimate:
    """Probability that a clip comes out well. ``brier_score`` and ``calibration_error`` are None if not measured.

    ``factors`` is empty if the probability depends on the score alone.
    """

    probability: float
    basis: SuccessBasis
    brier_score: float | None
    calibration_error: float | None
    factors: tuple[SuccessFactor, ...] = ()


@dataclass(frozen=True, slots=True)
class Grounding:
    """Place of the subject in the picture; if it was not found, ``box`` is None and the measures are 0.

    ``coverage`` is the box's share of the picture's width or height, whichever is larger; ``strict_coverage`` its share
    of the area. ``center_offset`` is the larger of the centre's distances from the middle, 0 to 0.5.
    """

    box: Box | None
    coverage: float
    strict_coverage: float
    center_x: float
    center_y: float
    center_offset: float


@dataclass(frozen=True, slots=True)
class CropProposal:
    """A crop of the picture for clips of one size. ``scale``: clip pixels per picture pixel; above 1 enlarges."""

    width_px: int
    height_px: int
    crop: Box
    scale: float
    subject_share: float
    coverage: float
    strict_coverage: float


@dataclass(frozen=True, slots=True)
class MissingNoun:
    """A thing that the prompt names and the scorer does not find in the picture."""

    span: TextSpan
    text: str


@dataclass(frozen=True, slots=True)
class PromptFinding:
    """A finding about the prompt or its settings; docs/findings.md lists the codes.

    ``span`` is None if the finding is not about words of the prompt. ``replacement`` is the text that a rule suggests
    for the span, empty to delete it; None if no rule can suggest one.
    """

    code: str
    case_name: str
    severity: FindingSeverity
    field: str
    span: TextSpan | None
    message: str
    suggestion: str
    replacement: str | None


@dataclass(frozen=True, slots=True)
class PromptReport:
    """Findings about the prompt. ``rewritten_prompt`` is None if no rule can improve it or nothing needs a change."""

    language: str
    findings: tuple[PromptFinding, ...]
    rewritten_prompt: str | None
    negative_prompt_additions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PictureFinding:
    """A finding about the picture; ``boxes`` are its places, if it has any."""

    code: str
    severity: FindingSeverity
    message: str
    suggestion: str
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class PictureReport:
    """Properties of a picture file and findings about it.

    ``sharpness`` is the variance of the Laplacian; ``blockiness`` measures JPEG artefacts, 1 without any.
    """

    format: str
    width_px: int
    height_px: int
    sharpness: float
    blockiness: float
    lettering_coverage: float
    findings: tuple[PictureFinding, ...]


@dataclass(frozen=True, slots=True)
class MatchReport:
    """How well picture and prompt match.

    ``score`` is 0 to 100; ``similarity`` a cosine, -1 to 1; ``contrast`` the natural logarithm of how much better the
    prompt fits than the bundle's contrast sentences do on average. ``action_plausibility`` is None without an action,
    ``calibration_error`` if the probabilities are not calibrated; fields that an older server does not send are None or
    empty. ``heat_map_png`` and ``crop_png`` are set by ``score_match`` on request, ``attempt`` and
    ``segment`` for an event of a clip.
    """

    score: float
    verdict: MatchVerdict
    similarity: float
    contrast: float
    basis: MatchBasis
    clauses: tuple[ClauseScore, ...] = ()
    action_plausibility: float | None = None
    success: SuccessEstimate | None = None
    grounding: Grounding | None = None
    missing_nouns: tuple[MissingNoun, ...] = ()
    prompt_report: PromptReport | None = None
    picture_report: PictureReport | None = None
    crops: tuple[CropProposal, ...] = ()
    calibration_error: float | None = None
    heat_map_png: bytes = b""
    crop_png: bytes = b""
    attempt: int = field(default=0, compare=False)
    segment: int = field(default=0, compare=False)
