"""What a server says about a picture and a sentence. Plain frozen data; the wire's names, Python's types.

Boxes are in pixels of the picture as it was sent, spans in characters of the prompt, shares and probabilities 0 to 1.
Knows no protobuf and no gRPC: ``stillcue.reports`` fills these in.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class MatchMode(enum.StrEnum):
    """What Generate does with the match of picture and sentence."""

    OFF = "off"
    REPORT = "report"
    REQUIRE = "require"


class MatchVerdict(enum.StrEnum):
    """A match score in words: good from 70, doubtful from 40, poor below."""

    UNKNOWN = "unknown"
    GOOD = "good"
    DOUBTFUL = "doubtful"
    POOR = "poor"


class MatchBasis(enum.StrEnum):
    """What a match score rests on; ``UNCALIBRATED`` scores were never fitted on labelled pairs."""

    UNKNOWN = "unknown"
    UNCALIBRATED = "uncalibrated"
    CALIBRATED = "calibrated"


class SuccessBasis(enum.StrEnum):
    """What a probability of success rests on; ``ARTICLE_PRIOR`` is a line through two published figures."""

    UNKNOWN = "unknown"
    ARTICLE_PRIOR = "article_prior"
    MEASURED = "measured"


class ClauseKind(enum.StrEnum):
    """What a part of a sentence tells."""

    UNKNOWN = "unknown"
    SUBJECT = "subject"
    ACTION = "action"
    ENVIRONMENT = "environment"
    CAMERA = "camera"
    STYLE = "style"


class FindingSeverity(enum.StrEnum):
    """How much a finding matters: an error is not worth a clip, a warning may spoil it, an info may improve it."""

    UNKNOWN = "unknown"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of the picture as it was sent, after its EXIF rotation was applied."""

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
    """One part of a sentence and how well the picture shows it.

    ``probability`` and what follows from it are None for what a still picture cannot show: camera moves and style.
    ``gated_probability`` is ``probability`` times that of the subject; the score is made of these by ``weight``.
    ``stage`` counts actions from 1, 0 for the rest.
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
class SuccessEstimate:
    """How likely a clip is to come out well. The last two are None where nothing was measured."""

    probability: float
    basis: SuccessBasis
    brier_score: float | None
    calibration_error: float | None


@dataclass(frozen=True, slots=True)
class Grounding:
    """Where the picture shows the subject; ``box`` is None where it was not found, and the measures are 0 then.

    ``coverage`` is the larger share of width or height that the box takes, ``strict_coverage`` that of the area.
    ``center_offset`` is the larger distance from the middle, 0 to 0.5.
    """

    box: Box | None
    coverage: float
    strict_coverage: float
    center_x: float
    center_y: float
    center_offset: float


@dataclass(frozen=True, slots=True)
class CropProposal:
    """The part of a picture to use for clips of one size. ``scale`` above 1 enlarges the picture."""

    width_px: int
    height_px: int
    crop: Box
    scale: float
    subject_share: float
    coverage: float
    strict_coverage: float


@dataclass(frozen=True, slots=True)
class MissingNoun:
    """A thing that the sentence names and the scorer does not find in the picture."""

    span: TextSpan
    text: str


@dataclass(frozen=True, slots=True)
class PromptFinding:
    """One piece of advice on a sentence or its settings; codes stand in docs/findings.md.

    ``span`` is None where it is not about words of the prompt. ``replacement`` is what a rule would put there, empty
    to leave it out; None where only a person can know.
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
    """What to change in a sentence. ``rewritten_prompt`` is None where no rule can mend it or nothing needs to."""

    language: str
    findings: tuple[PromptFinding, ...]
    rewritten_prompt: str | None
    negative_prompt_additions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PictureFinding:
    """One piece of advice on a picture; ``boxes`` say where, for findings that have a place."""

    code: str
    severity: FindingSeverity
    message: str
    suggestion: str
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class PictureReport:
    """What a picture file is and what to change in it.

    ``sharpness`` is the variance of the Laplacian, ``blockiness`` 1 without traces of JPEG.
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
    """How well a picture and a sentence match.

    ``score`` is 0 to 100; ``similarity`` a cosine, -1 to 1; ``contrast`` the natural logarithm of how much
    better the sentence fits than the bundle's contrast sentences do on average. ``action_plausibility`` is None where
    no action is told, ``calibration_error`` where nobody fitted the probabilities; what an older server does not say is
    None or empty. ``heat_map_png`` and ``crop_png`` are filled by ``score_match`` where they were asked for.
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
