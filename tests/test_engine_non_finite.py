"""A wrong weight in each part of the model ends the job where NaN appears, and says which part and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from engine import open_engine
from engine.analysis.diagnosis.non_finite import explain_non_finite
from engine.api.cancellation import CancelFlag
from engine.api.errors import NonFiniteValues
from engine.api.events import Expert, FrameReady, JobDone, Stage, StageStarted, StepDone
from engine.api.job import Job, MatchMode, MatchPolicy, SamplingSpec
from engine.api.media import Image
from engine.bundle.folder import parse_manifest
from engine.bundle.graph_spec import GraphName
from engine.bundle.manifest import AdapterSpec
from engine.runtime.finite import NonFiniteOutput
from tests.wrong_weights import with_wrong_value, without_magnitude

POCKET = Path(__file__).parent.parent / "pocket" / "model"
NAN, INFINITE, HUGE = float("nan"), float("inf"), 3e38
HIGH, LOW, SINGLE = Expert.HIGH_NOISE, Expert.LOW_NOISE, Expert.SINGLE
MATCH_OFF = MatchPolicy(MatchMode.OFF)
NO_NUMBER = (
    "fp32 seldom overflows, so a weight of the checkpoint is probably no number: download it again and export it again"
)


def events_until_fault(
    bundle: Path, picture: bytes, match: MatchPolicy = MATCH_OFF
) -> tuple[list[object], NonFiniteValues]:
    """The events of a job of four steps, two of each expert, and the error that ends it."""
    engine = open_engine(bundle)
    try:
        job = Job(Image(picture), "a white cat", "a dog", sampling=SamplingSpec(step_count=4, seed=1), match=match)
        events: list[object] = []
        with pytest.raises(NonFiniteValues) as caught:
            events.extend(engine.generate(engine.prepare(job), CancelFlag()))
        return events, caught.value
    finally:
        engine.close()


@pytest.mark.parametrize(
    ("file", "weight", "value", "stage", "expert", "step", "message"),
    [
        (
            "transformer",
            "blocks.0.attn1.to_v.weight",
            NAN,
            Stage.DENOISE,
            HIGH,
            1,
            "the high-noise expert of tiny computed NaN or infinity at step 1 of 4, so there is no clip",
        ),
        ("transformer", "proj_out.weight", INFINITE, Stage.DENOISE, HIGH, 1, "the high-noise expert of tiny"),
        ("transformer", "proj_out.bias", HUGE, Stage.DENOISE, HIGH, 1, "the high-noise expert of tiny"),
        (
            "transformer_2",
            "blocks.1.ffn.net.2.weight",
            NAN,
            Stage.DENOISE,
            LOW,
            3,
            "the low-noise expert of tiny computed NaN or infinity at step 3 of 4, so there is no clip",
        ),
        (
            "text_encoder",
            "encoder.final_layer_norm.weight",
            NAN,
            Stage.ENCODE_TEXT,
            None,
            0,
            "the text encoder of tiny computed NaN or infinity, so there is no clip",
        ),
        ("vae", "encoder.conv_in.weight", NAN, Stage.ENCODE_IMAGE, None, 0, "the VAE's encoder of tiny computed NaN"),
        ("vae", "decoder.conv_out.weight", NAN, Stage.DECODE, None, 0, "the VAE's decoder of tiny computed NaN"),
    ],
)
def test_a_wrong_value_ends_the_job_where_it_appears(
    file: str,
    weight: str,
    value: float,
    stage: Stage,
    expert: Expert | None,
    step: int,
    message: str,
    tiny_bundle: Path,
    tmp_path: Path,
    png: Callable[..., bytes],
) -> None:
    bundle = with_wrong_value(tiny_bundle, tmp_path / "bundle", f"weights/{file}.safetensors", weight, value)
    events, fault = events_until_fault(bundle, png(64, 48))
    assert (fault.stage, fault.expert, fault.step, fault.precision) == (stage, expert, step, "fp32")
    assert fault.step_count == (4 if step else 0)
    assert str(fault).startswith(message)
    assert str(fault).endswith(f", and the same request fails again; {NO_NUMBER}")
    assert str(tmp_path) not in str(fault)
    assert not any(isinstance(event, FrameReady | JobDone) for event in events)
    step_count = {Stage.DENOISE: step - 1, Stage.DECODE: 4}.get(stage, 0)
    assert sum(isinstance(event, StepDone) for event in events) == step_count
    assert [event for event in events if isinstance(event, StageStarted)][-1] == StageStarted(stage)


@pytest.mark.parametrize(("file", "expert", "step"), [("transformer", HIGH, 1), ("transformer_2", LOW, 3)])
def test_a_bundle_whose_solver_gives_no_magnitude_is_checked_too(
    file: str, expert: Expert, step: int, tmp_path: Path, png: Callable[..., bytes]
) -> None:
    weights = f"checkpoint/{file}/diffusion_pytorch_model.safetensors"
    bundle = with_wrong_value(POCKET, tmp_path / "bundle", weights, "proj_out.weight", NAN)
    without_magnitude(bundle)
    _, fault = events_until_fault(bundle, png(64, 64))
    assert (fault.expert, fault.step) == (expert, step)


@pytest.mark.walk  # the export of that bundle takes a minute
def test_the_only_transformer_of_a_5b_model(tiny_5b_bundle: Path, tmp_path: Path, png: Callable[..., bytes]) -> None:
    weights = "weights/transformer.safetensors"
    bundle = with_wrong_value(tiny_5b_bundle, tmp_path / "bundle", weights, "patch_embedding.weight", NAN)
    _, fault = events_until_fault(bundle, png(64, 32))
    assert (fault.stage, fault.expert, fault.step) == (Stage.DENOISE, SINGLE, 1)
    assert str(fault).startswith("the transformer of tiny computed NaN or infinity at step 1 of 4")


@pytest.mark.parametrize(
    ("weight", "part"),
    [
        ("vision_model.embeddings.patch_embedding.weight", "the scorer's picture encoder"),
        ("text_model.final_layer_norm.weight", "the scorer's text encoder"),
    ],
)
def test_a_scorer_gives_no_score_that_is_no_number(
    weight: str, part: str, tiny_bundle: Path, tmp_path: Path, png: Callable[..., bytes]
) -> None:
    bundle = with_wrong_value(tiny_bundle, tmp_path / "bundle", "weights/scorer.safetensors", weight, NAN)
    _, fault = events_until_fault(bundle, png(64, 48), MatchPolicy(MatchMode.REQUIRE, 1.0))
    engine = open_engine(bundle)
    with pytest.raises(NonFiniteValues) as caught:
        engine.score_match(Image(png(64, 48)), "a white cat")
    engine.close()
    for error in (fault, caught.value):
        assert (error.stage, error.expert) == (Stage.MATCH, None)
        assert str(error).startswith(f"{part} of tiny computed NaN or infinity, so there is no clip")
        assert str(error).endswith("export with a scorer that is downloaded again")


def test_a_prompt_that_failed_is_not_kept(tiny_bundle: Path, tmp_path: Path, png: Callable[..., bytes]) -> None:
    """Rows of one token are wrong: only prompts with that token fail, and fail again."""
    bundle = with_wrong_value(
        tiny_bundle, tmp_path / "bundle", "weights/text_encoder.safetensors", "encoder.final_layer_norm.weight", NAN
    )
    engine = open_engine(bundle)
    job = engine.prepare(Job(Image(png(64, 48)), "a white cat", match=MATCH_OFF))
    for _ in range(2):
        with pytest.raises(NonFiniteValues, match="the text encoder"):
            list(engine.generate(job, CancelFlag()))
    engine.close()


_HALF = "computes in half precision, which the checkpoint overflows beyond 65504: export with --precision bf16 or fp32"


@pytest.mark.parametrize(
    ("graph", "precision", "cause"),
    [
        ("transformer_high", "fp16", f"fp16 {_HALF}"),
        ("transformer_low", "int4", f"int4 {_HALF}"),
        ("transformer_low", "int8", f"int8 {_HALF}"),
        ("transformer_low", "fp8", f"fp8 {_HALF}"),
        ("transformer_low", "bf16", f"bf16{NO_NUMBER.removeprefix('fp32')}"),
        ("text_encoder", "fp16", f"fp16 {_HALF}"),
        ("text_encoder", "int8", f"int8{NO_NUMBER.removeprefix('fp32')}"),
        (
            "vae_decoder_step",
            "fp16",
            "fp16 overflows beyond 65504: export with --precision fp32, the only one that keeps the VAE in fp32",
        ),
        ("vae_encoder_init", "fp32", NO_NUMBER),
    ],
)
def test_the_remedy_follows_from_the_precision(graph: str, precision: str, cause: str, tiny_bundle: Path) -> None:
    manifest = parse_manifest(tiny_bundle)
    spec = next(item for item in manifest.graphs if item.stage == graph).with_changes(precision=precision)
    assert str(explain_non_finite(NonFiniteOutput(spec), manifest)).endswith(f"fails again; {cause}")


def test_adapters_and_a_missing_comparison_are_named(tiny_bundle: Path) -> None:
    manifest = parse_manifest(tiny_bundle)
    fused: list[tuple[GraphName, str]] = [
        ("transformer_high", "motion"),
        ("transformer_high", "style"),
        ("transformer_low", "light"),
    ]
    adapters = [
        AdapterSpec(stage=stage, file_name=f"{name}.safetensors", sha256="0" * 64, strength=1.0)
        for stage, name in fused
    ]
    manifest = manifest.with_changes(adapters=tuple(adapters))
    high = next(item for item in manifest.graphs if item.stage == "transformer_high")
    spec = high.with_changes(precision="int4", max_abs_error=None)
    assert str(explain_non_finite(NonFiniteOutput(spec, 2, 4), manifest)) == (
        "the high-noise expert of tiny computed NaN or infinity at step 2 of 4, so there is no clip, and the same "
        "request fails again; int4 computes in half precision, which the checkpoint with motion.safetensors, "
        "style.safetensors overflows beyond 65504: export with --precision bf16 or fp32 or with other adapters; the "
        "graph was not compared with torch when it was exported, --verify always does that"
    )
