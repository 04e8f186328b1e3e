"""Explains a graph that computed NaN or infinity: which part of the model, in which precision, and what to do.

A half-precision number ends at 65504. A model trained in bfloat16 may compute larger ones; the same then happens at
every try. In bfloat16 and float32, which end at 3e38, a weight that is no number is the likelier cause.
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.api.errors import NonFiniteValues
from engine.api.events import Expert, Stage
from engine.bundle.graph_spec import GraphName, GraphSpec
from engine.bundle.manifest import Manifest
from engine.runtime.finite import NonFiniteOutput

_PARTS: Mapping[GraphName, tuple[Stage, Expert | None, str]] = {
    "text_encoder": (Stage.ENCODE_TEXT, None, "the text encoder"),
    "vae_encoder_init": (Stage.ENCODE_IMAGE, None, "the VAE's encoder"),
    "vae_encoder_step": (Stage.ENCODE_IMAGE, None, "the VAE's encoder"),
    "transformer_high": (Stage.DENOISE, Expert.HIGH_NOISE, "the high-noise expert"),
    "transformer_low": (Stage.DENOISE, Expert.LOW_NOISE, "the low-noise expert"),
    "transformer": (Stage.DENOISE, Expert.SINGLE, "the transformer"),
    "vae_decoder_init": (Stage.DECODE, None, "the VAE's decoder"),
    "vae_decoder_step": (Stage.DECODE, None, "the VAE's decoder"),
    "scorer_image": (Stage.MATCH, None, "the scorer's picture encoder"),
    "scorer_text": (Stage.MATCH, None, "the scorer's text encoder"),
}
_QUANTISED = frozenset({"int8", "fp8", "int4"})


def explain_non_finite(fault: NonFiniteOutput, manifest: Manifest) -> NonFiniteValues:
    """The error for callers: names the part of the model, the step, the precision, the adapters and the remedy."""
    spec = fault.spec
    stage, expert, part = _PARTS[spec.stage]
    where = f" at step {fault.step} of {fault.step_count}" if fault.step else ""
    adapters = [item.file_name for item in manifest.adapters if item.stage == spec.stage]
    message = (
        f"{part} of {manifest.name} computed NaN or infinity{where}, so there is no clip, and the same request fails "
        f"again; {_cause(spec, adapters)}"
    )
    if stage is not Stage.MATCH and spec.max_abs_error is None:
        message += "; the graph was not compared with torch when it was exported, --verify always does that"
    return NonFiniteValues(message, stage, spec.precision, expert=expert, step=fault.step, step_count=fault.step_count)


def _cause(spec: GraphSpec, adapters: list[str]) -> str:
    fused = f" with {', '.join(adapters)}" if adapters else ""
    if spec.stage in {"scorer_image", "scorer_text"}:
        return "a weight of the scorer is probably no number: export with a scorer that is downloaded again"
    if not _computes_in_float16(spec):
        return (
            f"{spec.precision} seldom overflows, so a weight of the checkpoint{fused} is probably no number: download "
            "it again and export it again"
        )
    others = " or with other adapters" if adapters else ""
    if spec.stage.startswith("vae"):
        return "fp16 overflows beyond 65504: export with --precision fp32, the only one that keeps the VAE in fp32"
    return (
        f"{spec.precision} computes in half precision, which the checkpoint{fused} overflows beyond 65504: export with "
        f"--precision bf16 or fp32{others}"
    )


def _computes_in_float16(spec: GraphSpec) -> bool:
    """The recipes of transformers compute in float16 beside quantised weights, that of the text encoder in bfloat16."""
    return spec.precision == "fp16" or (spec.stage.startswith("transformer") and spec.precision in _QUANTISED)
