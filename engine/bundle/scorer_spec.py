"""Manifest entries of the scorer, and of the tokenizers that scorer and text encoder use. Formulas: docs/scoring.md."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from engine.bundle.graph_spec import ManifestPart

# Rows of one call of the scorer's graphs. The exporter compiles plans for up to this many.
MAX_PICTURE_COUNT = 8
MAX_SENTENCE_COUNT = 64


class TokenizerSpec(ManifestPart):
    """How text becomes ids. ``file`` is in the format of the ``tokenizers`` library."""

    file: str
    length: int
    pad_id: int
    pad_side: Literal["left", "right"]
    lower_case: bool


class LanguageContrastSpec(ManifestPart):
    """What clauses of one language are held against.

    ``subjects`` and ``scenes`` are rows [start, end) of the contrasts' file. The templates make a sentence of a clause
    in the place of ``{}``, as they made those of the rows; a subject and an action are joined by ``joint``. ``actions``
    are joined to the subject of a sentence when it is scored.
    """

    language: Literal["en", "zh"]
    subjects: tuple[int, int]
    scenes: tuple[int, int]
    subject_template: str = "{}"
    scene_template: str = "{}"
    joint: str = " "
    actions: tuple[str, ...] = Field(min_length=1)


class ContrastsSpec(ManifestPart):
    """``file`` holds unit embeddings [sentences, size] float32 in numpy's format."""

    file: str
    languages: tuple[LanguageContrastSpec, ...] = Field(min_length=1)


class ClauseCalibrationSpec(ManifestPart):
    """Probability of a clause: sigmoid(slope · m + offset), fitted on ``pair_count`` labelled pairs."""

    kind: Literal["subject", "action", "environment"]
    language: Literal["en", "zh"]
    slope: float = Field(gt=0)
    offset: float
    pair_count: int = Field(ge=0)


class CalibrationSpec(ManifestPart):
    """What a scorer's probabilities were fitted on, and how good they are on pairs that the fit did not see."""

    clauses: tuple[ClauseCalibrationSpec, ...]
    pairs_sha256: str
    pair_count: int
    brier_score: float
    expected_calibration_error: float


class GroundingSpec(ManifestPart):
    """Heat of a patch: sigmoid(slope · m + offset). A noun whose presence is below ``absent_below`` is missing."""

    slope: float = Field(default=1.0, gt=0)
    offset: float = 0.0
    absent_below: float = 0.5


class VerdictSpec(ManifestPart):
    """Scores from which a match is called good, and doubtful."""

    good_score: float = 70.0
    doubtful_score: float = 40.0


class SuccessSpec(ManifestPart):
    """Log odds of a good clip: offset + slope · score / 100, fitted on outcomes that were measured.

    The other three say how many there were and how good the fit is on outcomes that it did not see.
    """

    slope: float
    offset: float
    outcome_count: int
    brier_score: float
    calibration_error: float


class ScorerSpec(ManifestPart):
    """The scorer. z = exp(``logit_scale_log``) · cosine + ``logit_bias``.

    m of a sentence is z less the logarithm of the mean of e^z over contrast sentences. For whole sentences their
    embeddings are ``contrast_file``, [sentences, size] float32 in numpy's format, for clauses ``contrasts``; without
    these the score is that of the whole sentence, 100 · sigmoid(slope · m + offset). ``resample`` is Pillow's number.
    """

    tokenizer: TokenizerSpec
    image_size_px: int
    resample: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    logit_scale_log: float
    logit_bias: float
    contrast_file: str
    slope: float = 1.0
    offset: float = 0.0
    is_calibrated: bool = False
    contrasts: ContrastsSpec | None = None
    calibration: CalibrationSpec | None = None
    grounding: GroundingSpec = GroundingSpec()
    verdicts: VerdictSpec = VerdictSpec()
    success: SuccessSpec | None = None
