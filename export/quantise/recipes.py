"""Recipes: the encoding of each weight by component and precision, with the reason for each rule.

A recipe is a list of rules; the first whose pattern matches a weight's name in the checkpoint decides. Figures are
relative errors of the transformer's output with one group of weights quantised, measured on the pocket checkpoint by
``python -m benchmarks.precision`` (docs/precision.md).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import torch

from engine.bundle.graph_spec import Precision
from export.errors import ExportError
from export.quantise.calibration import Calibration
from export.quantise.encodings import Encoding, Float8, Int4, Int8, PassThrough, QuantisedFormat, int4_block_size
from export.weights.shards import WeightSource

ComponentKind = Literal["transformer", "text_encoder", "vae"]


@dataclass(frozen=True)
class Rule:
    """The encoding of weights whose name matches. ``form`` None: passed through in the recipe's type.

    ``with_input`` quantises the linear's input too, which needs calibration; ``dtype`` overrides the recipe's type.
    """

    pattern: str
    reason: str
    form: QuantisedFormat | None = None
    with_input: bool = False
    dtype: torch.dtype | None = None

    def matches(self, name: str) -> bool:
        """True if the rule applies to a weight."""
        return re.search(self.pattern, name) is not None


@dataclass(frozen=True)
class Recipe:
    """Rules for one kind of component. Other weights are stored, and all is computed, in ``dtype``.

    ``attention`` is the default of ``--attention`` (``rewrite_attention``); None: FP8 attention is not offered.
    """

    precision: Precision
    dtype: torch.dtype
    rules: tuple[Rule, ...] = ()
    attention: Literal["half", "fp8"] | None = None

    def rule(self, name: str) -> Rule | None:
        """The first rule that applies to a weight; None if none does."""
        return next((rule for rule in self.rules if rule.matches(name)), None)

    @property
    def needs_calibration(self) -> bool:
        """True if a rule quantises inputs, whose ranges must be measured."""
        return any(rule.with_input for rule in self.rules)

    def encodings(self, source: WeightSource, calibration: Calibration | None = None) -> dict[str, Encoding]:
        """The encoding of every weight of a component, in the source's order.

        Raises ``ExportError`` where a rule quantises an input that ``calibration`` does not have.
        """
        if self.needs_calibration and calibration is None:
            raise ExportError(
                f"--precision {self.precision} quantises the inputs of linear layers and needs their ranges; run "
                "`python -m export.quantise.calibrate` first, or choose int4, fp16 or bf16"
            )
        return {name: self._encoding(source, name, calibration) for name in source.names()}

    def _encoding(self, source: WeightSource, name: str, calibration: Calibration | None) -> Encoding:
        if not source.dtype(name).is_floating_point:
            return PassThrough(source.dtype(name))
        rule = self.rule(name)
        if rule is None or rule.form is None:
            return PassThrough(self.dtype if rule is None or rule.dtype is None else rule.dtype)
        linear = name.removesuffix(".weight")
        largest = calibration.input_range(linear) if rule.with_input and calibration is not None else None
        # Scales of a graph that computes in float32 are float16, with a Cast between (``rewrite``).
        scale_dtype = torch.bfloat16 if self.dtype is torch.bfloat16 else torch.float16
        if rule.form == "int8":
            return Int8(scale_dtype, largest)
        if rule.form == "fp8":
            return Float8(scale_dtype, largest)
        block_size = int4_block_size(source.shape(name)[1])
        if block_size is None:  # too narrow for a block; such a linear is small
            return PassThrough(self.dtype)
        moments = calibration.moments(linear) if calibration is not None else None
        return Int4(scale_dtype, None, block_size, moments)


_BLOCK_LINEARS = r"^blocks\.\d+\.(attn[12]\.(to_[qkv]|to_out\.0)|ffn\.net\.(0\.proj|2))\.weight$"
_TEXT_LINEARS = r"^encoder\.block\.\d+\.layer\.\d+\.(SelfAttention\.[qkvo]|DenseReluDense\.(wi_[01]|wo))\.weight$"

_FLOAT32_ISLANDS = Rule(
    r"(^|\.)(scale_shift_table|norm\d\.(weight|bias)|condition_embedder\.time_embedder\..*)$",
    "Diffusers keeps modulation, norms and the time embedder in float32 (WanTransformer3DModel."
    "_keep_in_fp32_modules): t reaches 999, and a "
    "scale is applied to every token. They are 0.2 % of the weights.",
    dtype=torch.float32,
)
_HIGH = (
    _FLOAT32_ISLANDS,
    Rule(
        r"^proj_out\.",
        "The last projection writes the prediction: quantised alone in INT4 it causes as much error (0.061) as all "
        "blocks together (0.066), for 0.002 % of the weights.",
    ),
    Rule(
        r"^patch_embedding\.",
        "The first projection is a convolution over latents and mask, which have different scales; it is 0.005 % of "
        "the weights.",
    ),
    Rule(
        r"^condition_embedder\.",
        "Time and text embedders run once per step on a few rows, so quantising them saves nothing. The time "
        "projection quantised alone in INT4 causes an error of 0.021, because it modulates every token.",
    ),
)
_SAME_TEXT_ENCODER = Rule(
    _TEXT_LINEARS,
    "The inputs of umT5's linear layers have outliers that one 8-bit scale per tensor cannot represent, so only the "
    "weights are quantised, with one scale per output channel: a small error, and half of the 11.4 GB. The text "
    "encoder runs once per prompt.",
    form="int8",
)


def _transformer(form: QuantisedFormat, reason: str, *, with_input: bool) -> tuple[Rule, ...]:
    return (*_HIGH, Rule(_BLOCK_LINEARS, reason, form, with_input))


# The VAE is convolutions: no recipe quantises it. float16, because bfloat16 has no Resize in TensorRT.
_RULES: Mapping[ComponentKind, Mapping[Precision, Recipe]] = {
    "transformer": {
        "fp32": Recipe("fp32", torch.float32),
        "fp16": Recipe("fp16", torch.float16, (_FLOAT32_ISLANDS,)),
        "bf16": Recipe("bf16", torch.bfloat16, (_FLOAT32_ISLANDS,)),
        "int8": Recipe(
            "int8",
            torch.float16,
            _transformer(
                "int8",
                "One scale per output channel for weights (error 0.005 alone), one calibrated scale for inputs "
                "(0.015): the most accurate 8-bit format. Nothing says yet that it is a fast one: no card has run it, "
                "and the compiler does not fuse these products ([speed of eight bits](#speed-of-eight-bits)).",
                with_input=True,
            ),
        ),
        "fp8": Recipe(
            "fp8",
            torch.float16,
            _transformer(
                "fp8",
                "E4M3 with one scale per weight tensor and one calibrated scale per input. sm_89 only: the compiler "
                "refuses it for sm_86. Its 3-bit mantissa makes it less accurate than INT8 (0.027 against 0.015).",
                with_input=True,
            ),
            attention="half",
        ),
        "int4": Recipe(
            "int4",
            torch.float16,
            _transformer(
                "int4",
                "Weights only, in blocks: both 14B experts then fit in the memory of a 24 GB GPU. The error is 0.066 "
                "rounded to nearest, and 0.038 with error feedback from calibrated moments.",
                with_input=False,
            ),
        ),
    },
    "text_encoder": {
        "fp32": Recipe("fp32", torch.float32),
        "fp16": Recipe(
            "fp16",
            torch.float16,
            (
                Rule(
                    r"DenseReluDense\.wo\.",
                    "The feed-forward of umT5 overflows float16; Transformers keeps its last projection in float32.",
                    dtype=torch.float32,
                ),
            ),
        ),
        "bf16": Recipe("bf16", torch.bfloat16),
        **{
            precision: Recipe(precision, torch.bfloat16, (_SAME_TEXT_ENCODER,)) for precision in ("int8", "fp8", "int4")
        },
    },
    "vae": {
        "fp32": Recipe("fp32", torch.float32),
        **{precision: Recipe(precision, torch.float16) for precision in ("fp16", "bf16", "int8", "fp8", "int4")},
    },
}


def recipe_for(kind: ComponentKind, precision: Precision) -> Recipe:
    """The recipe of a component. Raises ``ExportError`` for an unknown precision, naming the known ones."""
    found = _RULES[kind].get(precision)
    if found is None:
        raise ExportError(f"--precision {precision}: choose one of {', '.join(get_args(Precision))}")
    return found
