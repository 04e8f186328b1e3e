"""Manifest entries of the scorer, and of the tokenizers that scorer and text encoder use. Formulas: docs/scoring.md."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from engine.bundle.diagnosis_spec import DiagnosisSpec
from engine.bundle.manifest_part import ManifestPart

# Rows of one call of the scorer's graphs. The exporter compiles plans for up to this many.
MAX_PICTURE_COUNT = 8
MAX_SENTENCE_COUNT = 64


class TokenizerSpec(ManifestPart, frozen=True, kw_only=True):
    """A tokenizer and its settings. ``file`` is in the format of the ``tokenizers`` library."""

    file: str
    length: int
    pad_id: int
    pad_side: Literal["left", "right"]
    lower_case: bool


class LanguageContrastSpec(ManifestPart, frozen=True, kw_only=True):
    """The contrast sentences for clauses of one language.

    ``subjects`` and ``scenes`` are rows [start, end) of the contrasts' file. The templates turn a clause, put in place
    of ``{}``, into a sentence; the rows were made with the same templates. ``joint`` joins a subject and an action.
    ``actions`` are joined to the subject of the scored sentence.
    """

    language: Literal["en", "zh"]
    subjects: tuple[int, int]
    scenes: tuple[int, int]
    subject_template: str = "{}"
    scene_template: str = "{}"
    joint: str = " "
    actions: Annotated[tuple[str, ...], Meta(min_length=1)]


class ContrastsSpec(ManifestPart, frozen=True, kw_only=True):
    """``file`` holds unit embeddings [sentences, size] float32 in numpy's format."""

    file: str
    languages: Annotated[tuple[LanguageContrastSpec, ...], Meta(min_length=1)]


class ClauseCalibrationSpec(ManifestPart, frozen=True, kw_only=True):
    """Probability of a clause: sigmoid(slope · m + offset), fitted on ``pair_count`` labelled pairs."""

    kind: Literal["subject", "action", "environment"]
    language: Literal["en", "zh"]
    slope: Annotated[float, Meta(gt=0)]
    offset: float
    pair_count: Annotated[int, Meta(ge=0)]


class CalibrationSpec(ManifestPart, frozen=True, kw_only=True):
    """Data that the probabilities were fitted on, and their quality on held-out pairs."""

    clauses: tuple[ClauseCalibrationSpec, ...]
    pairs_sha256: str
    pair_count: int
    brier_score: float
    expected_calibration_error: float


class GroundingSpec(ManifestPart, frozen=True, kw_only=True):
    """Heat of a patch: sigmoid(slope · m + offset).

    A noun whose presence is below ``absent_below`` counts as missing.
    """

    slope: Annotated[float, Meta(gt=0)] = 1.0
    offset: float = 0.0
    absent_below: float = 0.5


class VerdictSpec(ManifestPart, frozen=True, kw_only=True):
    """Lowest scores of the verdicts GOOD and DOUBTFUL."""

    good_score: float = 70.0
    doubtful_score: float = 40.0


LabelSource = Literal["truth", "ratings", "thresholds"]


class FactorSpec(ManifestPart, frozen=True, kw_only=True):
    """One term of the log odds of success: weight · figure.

    With ``above``, only what exceeds that counts: weight · max(figure - above, 0). Several of one figure add up, so
    that a large fault may weigh more than in proportion.
    """

    name: str
    weight: float
    above: float | None = None

    def part(self, value: float) -> float:
        """The term for a value of the figure."""
        return self.weight * (value if self.above is None else max(value - self.above, 0.0))


class OddsSpec(ManifestPart, frozen=True, kw_only=True):
    """Log odds of a good clip: offset + Σ ``FactorSpec.part``, then the curve.

    ``curve``: points (log odds before, log odds after), both ascending, joined by straight lines and flat beyond the
    first and the last; without points nothing changes. It mends what a sum of parts cannot say, on held-out outcomes.
    """

    offset: float
    factors: tuple[FactorSpec, ...] = ()
    curve: tuple[tuple[float, float], ...] = ()


class SuccessSpec(OddsSpec, frozen=True, kw_only=True):
    """The chance before the clip is made. Fitted on ``outcome_count`` outcomes, its errors measured on held-out ones.

    ``factors`` name figures of ``engine.matching.success_factors``; fits of earlier versions have ``slope`` times
    score / 100 instead. ``label_source`` says what told good clips from bad ones: the drawn clip, people's ratings, or
    thresholds on figures of the clip; None: not stated.
    """

    slope: float = 0.0
    outcome_count: int
    brier_score: float
    calibration_error: float
    label_source: LabelSource | None = None


class ClipSuccessSpec(OddsSpec, frozen=True, kw_only=True):
    """The probability that a finished clip is good, with figures of pair and clip.

    ``factors`` name figures of ``engine.matching.success_factors`` and ``engine.analysis.diagnosis.clip_factors``. A
    clip is accepted from the probability ``accept_from`` on. ``area_under_curve``, like the errors, was measured on
    held-out outcomes.
    """

    accept_from: Annotated[float, Meta(ge=0, le=1)]
    outcome_count: int
    area_under_curve: float
    brier_score: float
    calibration_error: float
    label_source: LabelSource | None = None


class ScorerSpec(ManifestPart, frozen=True, kw_only=True):
    """The scorer. The logit of a picture and a sentence is z = exp(``logit_scale_log``) · cosine + ``logit_bias``.

    The margin m of a sentence is its z minus the logarithm of the mean of e^z over contrast sentences. The contrast
    sentences of whole prompts are embeddings in ``contrast_file``, [sentences, size] float32 in numpy's format; those
    of clauses are in ``contrasts``. Without ``contrasts`` the score is that of the whole prompt, 100 · sigmoid(slope ·
    m + offset). ``resample`` is Pillow's number of the filter.
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
    clip_success: ClipSuccessSpec | None = None
    diagnosis: DiagnosisSpec = DiagnosisSpec()
