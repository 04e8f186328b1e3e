"""The manifest's model: what ``bundle.json`` may say. Knows fields and their meaning; opens no file.

The exporter writes it, the engine reads it. Everything that the engine must know about a checkpoint stands here, so
that it never looks at a model's own configuration. A field that came later has a default, so that bundles which were
written before it are still read.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.api.errors import BundleInvalid
from engine.api.types import Family, Geometry

FORMAT_VERSION: Literal[1] = 1

StageName = Literal[
    "text_encoder",
    "vae_encoder_init",
    "vae_encoder_step",
    "transformer",
    "transformer_high",
    "transformer_low",
    "guide_and_step",
    "vae_decoder_init",
    "vae_decoder_step",
    "scorer_image",
    "scorer_text",
]
# int8, fp8 and int4 say what the quantised linears are stored as; what they leave alone is half precision.
Precision = Literal["fp32", "fp16", "bf16", "int8", "fp8", "int4"]
TensorDtype = Literal["float32", "float16", "bfloat16", "int64"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TensorSpec(_Part):
    """An input or output of a graph; an axis given by name may have any length."""

    name: str
    dtype: TensorDtype
    shape: tuple[int | str, ...]


class EngineSpec(_Part):
    """A graph compiled for one kind of card, and what the compiler said of it.

    ``activation_bytes`` is the scratch memory of a call, ``weight_bytes`` what stays on the card as long as the plan
    is loaded, ``plan_bytes`` the size of the file; ``host_peak_bytes`` and ``build_seconds`` are what the build took.
    ``compiler`` is the module's name, for example ``tensorrt_rtx``.
    """

    file: str
    compute_capability: str = Field(pattern=r"^sm_[0-9]+$")
    compiler: str
    compiler_version: str
    activation_bytes: int = Field(ge=0)
    weight_bytes: int = Field(ge=0)
    plan_bytes: int = Field(ge=0)
    build_seconds: float = Field(ge=0)
    host_peak_bytes: int = Field(ge=0)


class GraphSpec(_Part):
    """One graph. ``width_px``, ``height_px`` and ``frame_count`` are None where the graph does not depend on them.

    ``max_abs_error`` is the largest difference to torch that was measured when the graph was exported, over all
    outputs, and ``max_abs_value`` the largest absolute value of those outputs. Both are None where the component was
    too large to run beside torch.
    """

    stage: StageName
    file: str
    width_px: int | None = None
    height_px: int | None = None
    frame_count: int | None = None
    precision: Precision = "fp32"
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    max_abs_error: float | None
    max_abs_value: float | None
    engines: tuple[EngineSpec, ...] = ()

    def serves(self, geometry: Geometry) -> bool:
        """Whether the graph can be used for a geometry."""
        wanted = (geometry.width_px, geometry.height_px, geometry.frame_count)
        return all(own in (None, other) for own, other in zip(self._geometry, wanted, strict=True))

    def engine(self, compute_capability: str) -> EngineSpec | None:
        """The plan for a card, for example ``sm_86``; None where the graph was not compiled for it."""
        return next((item for item in self.engines if item.compute_capability == compute_capability), None)

    @property
    def _geometry(self) -> tuple[int | None, int | None, int | None]:
        return self.width_px, self.height_px, self.frame_count


class FileSpec(_Part):
    """A file of the bundle, by its path from the bundle's folder."""

    sha256: str
    byte_count: int


class GeometrySpec(_Part):
    """A size and length that was compiled."""

    width_px: int
    height_px: int
    frame_count: int


class LatentSpec(_Part):
    """Shape of latents: channels, and pixels or frames for each latent cell."""

    channel_count: int
    spatial_stride: int
    temporal_stride: int


class ScheduleSpec(_Part):
    """Solver and schedule; ``boundary_timestep`` None means one transformer."""

    solver: Literal["unipc"] = "unipc"
    order: int = Field(ge=1, le=3)
    shift: float
    step_count: int
    train_step_count: int
    boundary_timestep: float | None


class GuidanceSpec(_Part):
    """Guidance defaults; ``low_noise_scale`` is None for models with one transformer."""

    scale: float
    low_noise_scale: float | None
    negative_prompt: str


class AdapterSpec(_Part):
    """A LoRA file that was fused into the weights of a stage before they were quantised."""

    stage: StageName
    file_name: str
    sha256: str
    strength: float


class DistilledSpec(_Part):
    """What a few-step checkpoint was distilled for: other steps, shift or guidance give poor clips.

    Such a model runs without guidance, so its scale is 1: one prediction a step.
    """

    step_count: int = Field(ge=1)
    shift: float
    guidance_scale: Literal[1] = 1


class TokenizerSpec(_Part):
    """How text becomes ids. ``file`` is in the format of the ``tokenizers`` library."""

    file: str
    length: int
    pad_id: int
    pad_side: Literal["left", "right"]
    lower_case: bool


class PreviewSpec(_Part):
    """Least-squares projection of one latent cell to RGB in 0..1: ``matrix`` [channels][3] and ``bias`` [3].

    ``r_squared`` is the share of variance explained on pictures that the fit did not see.
    """

    matrix: tuple[tuple[float, float, float], ...]
    bias: tuple[float, float, float]
    r_squared: float


class LanguageContrastSpec(_Part):
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


class ContrastsSpec(_Part):
    """``file`` holds unit embeddings [sentences, size] float32 in numpy's format."""

    file: str
    languages: tuple[LanguageContrastSpec, ...] = Field(min_length=1)


class ClauseCalibrationSpec(_Part):
    """Probability of a clause: sigmoid(slope · m + offset), fitted on ``pair_count`` labelled pairs."""

    kind: Literal["subject", "action", "environment"]
    language: Literal["en", "zh"]
    slope: float = Field(gt=0)
    offset: float
    pair_count: int = Field(ge=0)


class CalibrationSpec(_Part):
    """What a scorer's probabilities were fitted on, and how good they are on pairs that the fit did not see."""

    clauses: tuple[ClauseCalibrationSpec, ...]
    pairs_sha256: str
    pair_count: int
    brier_score: float
    expected_calibration_error: float


class GroundingSpec(_Part):
    """Heat of a patch: sigmoid(slope · m + offset). A noun whose presence is below ``absent_below`` is missing."""

    slope: float = Field(default=1.0, gt=0)
    offset: float = 0.0
    absent_below: float = 0.5


class VerdictSpec(_Part):
    """Scores from which a match is called good, and doubtful."""

    good_score: float = 70.0
    doubtful_score: float = 40.0


class SuccessSpec(_Part):
    """Log odds of a good clip: offset + slope · score / 100, fitted on outcomes that were measured.

    The other three say how many there were and how good the fit is on outcomes that it did not see.
    """

    slope: float
    offset: float
    outcome_count: int
    brier_score: float
    calibration_error: float


class ScorerSpec(_Part):
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


class Manifest(_Part):
    """``bundle.json``."""

    format_version: Literal[1] = FORMAT_VERSION
    name: str
    family: Family
    license: str
    checkpoint_digest: str
    exported_with: dict[str, str]
    geometries: tuple[GeometrySpec, ...] = Field(min_length=1)
    frame_rate: float
    expand_timesteps: bool
    latent: LatentSpec
    schedule: ScheduleSpec
    guidance: GuidanceSpec
    tokenizer: TokenizerSpec
    preview: PreviewSpec
    scorer: ScorerSpec | None
    graphs: tuple[GraphSpec, ...]
    files: dict[str, FileSpec]
    adapters: tuple[AdapterSpec, ...] = ()
    distilled: DistilledSpec | None = None
    notices: tuple[str, ...] = ()

    def graph(self, stage: StageName, geometry: Geometry) -> GraphSpec:
        """The graph of a stage for a geometry. Raises ``BundleInvalid`` where the bundle lacks it."""
        for spec in self.graphs:
            if spec.stage == stage and spec.serves(geometry):
                return spec
        size = f"{geometry.width_px}x{geometry.height_px}, {geometry.frame_count} frames"
        raise BundleInvalid(f"the bundle lists {size} but holds no {stage} graph for it; export it again")
