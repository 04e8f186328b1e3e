"""Memory plans: never above the budget, every graph loaded in time, and remedies that do fit."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engine.api.capabilities import Geometry, MemoryPlan, StageMemory
from engine.api.errors import BundleInvalid, DoesNotFit
from engine.api.events import Expert, Stage
from engine.bundle.graph_spec import GraphName, Precision
from engine.bundle.manifest import Manifest
from engine.memory.demand import Amount, GraphDemand, JobDemand, StageDemand
from engine.memory.measure import demand_of
from engine.memory.placement import Placement
from engine.memory.plan import GPU_BYTES, RESERVED_BYTES, default_budget_bytes, plan_memory
from engine.memory.remedies import remedies_for
from tests.memory_demands import A14B_480P, A14B_INT4, GB, SM_86, SM_89, a14b_manifest

_BUDGET = GPU_BYTES - RESERVED_BYTES
_EXPERT_FP8 = (145 * GB // 10, 38 * GB // 10)
_STAGES: tuple[tuple[Stage, Expert | None, tuple[GraphName, ...]], ...] = (
    (Stage.ENCODE_TEXT, None, ("text_encoder",)),
    (Stage.ENCODE_IMAGE, None, ("vae_encoder_init", "vae_encoder_step")),
    (Stage.DENOISE, Expert.HIGH_NOISE, ("transformer_high", "guide_and_step")),
    (Stage.DENOISE, Expert.LOW_NOISE, ("transformer_low", "guide_and_step")),
    (Stage.DECODE, None, ("vae_decoder_init", "vae_decoder_step")),
)
_BYTES = st.integers(0, 1_000)


@st.composite
def demands(draw: st.DrawFn) -> JobDemand:
    """Jobs of any sizes, the VAE's graphs sharing a store or not, with or without a scorer."""
    shares = draw(st.booleans())
    standing: tuple[GraphName, ...] = ("scorer_image", "scorer_text") if draw(st.booleans()) else ()
    graphs: dict[GraphName, GraphDemand] = {}
    weight_bytes: dict[str, int] = {}
    for name in (*dict.fromkeys(name for _, _, runs in _STAGES for name in runs), *standing):
        store = "vae" if shares and name.startswith("vae_") else name
        weight_bytes[store] = draw(_BYTES)
        graphs[name] = GraphDemand("fp16", (store,), Amount(fixed=draw(_BYTES)))
    return JobDemand(
        geometry=A14B_480P,
        temporal_stride=4,
        graphs=graphs,
        weight_bytes=weight_bytes,
        stages=tuple(StageDemand(*stage, Amount(fixed=draw(_BYTES))) for stage in _STAGES),
        standing=standing,
        standing_buffers=Amount(fixed=draw(_BYTES)),
    )


def _waiting_bytes(demand: JobDemand, plan: MemoryPlan) -> int:
    waits = {name for stage in plan.stages if stage.stage is Stage.DENOISE for name in stage.loaded}
    return demand.weights_of(name for name in demand.graphs if name in waits)


@settings(max_examples=40, deadline=None)
@given(demands(), st.integers(0, 8_000))
def test_a_plan_keeps_to_the_budget_and_has_each_graph_in_time(demand: JobDemand, budget_bytes: int) -> None:
    placement = Placement(demand, budget_bytes)
    plan = placement.plan()
    if plan is None:
        assert placement.tightest.peak_bytes > budget_bytes
        return
    assert plan.peak_bytes <= budget_bytes
    stages = [stage for stage in plan.stages if stage.stage is not Stage.MATCH]
    assert [(stage.stage, stage.expert) for stage in stages] == [(stage, expert) for stage, expert, _ in _STAGES]
    for wanted, before, stage in zip(demand.stages, [stages[-1], *stages], stages, strict=False):
        assert set(wanted.runs) <= set(stage.resident)
        assert set(demand.standing) <= set(stage.resident)
        came = set(stage.resident) - set(before.resident)
        assert came == {*stage.loaded, *stage.prefetched}
        assert not set(stage.prefetched) & set(wanted.runs)
        assert set(stage.loaded) <= set(wanted.runs)
        assert stage.weight_bytes == demand.weights_of(set(stage.resident))  # type: ignore[arg-type]
    if demand.standing:
        assert plan.stages[0].stage is Stage.MATCH


@settings(max_examples=40, deadline=None)
@given(demands(), st.integers(0, 8_000), st.integers(0, 2_000))
def test_more_memory_never_lets_denoising_wait_longer(demand: JobDemand, budget_bytes: int, more_bytes: int) -> None:
    plan, roomier = (Placement(demand, budget).plan() for budget in (budget_bytes, budget_bytes + more_bytes))
    if plan is not None:
        assert roomier is not None
        assert _waiting_bytes(demand, roomier) <= _waiting_bytes(demand, plan)


@settings(max_examples=40, deadline=None)
@given(demands())
def test_without_a_budget_everything_stays(demand: JobDemand) -> None:
    plan = Placement(demand, None).plan()
    assert plan is not None
    assert plan.swapped == ()
    assert all(set(stage.resident) == set(demand.graphs) for stage in plan.stages)


def test_the_default_budget_is_a_24_gib_card_less_the_reserve() -> None:
    default = default_budget_bytes(SM_86)
    assert default is not None
    assert default == default_budget_bytes(SM_89) == GPU_BYTES - RESERVED_BYTES
    assert default / 2**30 == pytest.approx(22.5, abs=1e-6)
    assert default_budget_bytes(None) is None


def test_the_budget_of_a_card_that_is_there_follows_its_memory() -> None:
    of_4090, of_48_gb = (default_budget_bytes(SM_89, round(seen * 2**30)) for seen in (23.64, 47.4))
    assert of_4090 == pytest.approx(22.5 * 2**30, rel=1e-3)
    assert of_48_gb == pytest.approx(46.26 * 2**30, rel=1e-3)


def _stage(plan: MemoryPlan, stage: Stage, expert: Expert | None = None) -> StageMemory:
    (found,) = [item for item in plan.stages if (item.stage, item.expert) == (stage, expert)]
    return found


def test_both_experts_stay_in_int4_and_the_text_encoder_is_loaded_for_each_job() -> None:
    plan = plan_memory(a14b_manifest(), SM_86, _BUDGET).of(A14B_480P)
    assert plan.swapped == ("text_encoder",)
    denoise = _stage(plan, Stage.DENOISE, Expert.LOW_NOISE)
    assert {"transformer_high", "transformer_low"} <= set(denoise.resident)
    assert denoise.scratch_bytes == 39 * GB // 10
    assert _stage(plan, Stage.ENCODE_TEXT).loaded == ("text_encoder",)


def test_one_expert_stays_in_fp8_and_the_other_comes_at_the_switch() -> None:
    engines = {**A14B_INT4, "transformer_high": _EXPERT_FP8, "transformer_low": _EXPERT_FP8}
    plan = plan_memory(a14b_manifest(engines, precision="fp8", compute_capability=SM_89), SM_89, _BUDGET)
    stages = plan.of(A14B_480P)
    assert _stage(stages, Stage.DENOISE, Expert.LOW_NOISE).loaded == ("transformer_low",)
    assert "transformer_low" not in _stage(stages, Stage.DENOISE, Expert.HIGH_NOISE).resident
    # For the next job, the text encoder comes back while the clip is decoded, the first expert while it encodes.
    assert _stage(stages, Stage.DECODE).prefetched == ("text_encoder",)
    assert _stage(stages, Stage.ENCODE_TEXT).prefetched == ("transformer_high",)


def test_the_low_noise_expert_comes_while_the_other_one_works_where_both_fit() -> None:
    engines = {**A14B_INT4, "vae_decoder_step": (GB // 6, 12 * GB)}  # no room for two experts beside the decoder
    plan = plan_memory(a14b_manifest(engines), SM_86, _BUDGET).of(A14B_480P)
    assert "transformer_low" in _stage(plan, Stage.DENOISE, Expert.HIGH_NOISE).resident
    assert _stage(plan, Stage.DENOISE, Expert.LOW_NOISE).loaded == ()
    assert len({"transformer_low", "transformer_high"} & set(_stage(plan, Stage.DECODE).resident)) < 2


def test_what_the_buffers_of_a_stage_are_made_of() -> None:
    """By hand: 832x480x81 has latents of [16, 21, 60, 104] and 32 caches of two frames."""
    plan = plan_memory(a14b_manifest(), SM_86, _BUDGET).of(A14B_480P)
    clip = 16 * 21 * 60 * 104 * 4
    prompts = 2 * 512 * 4096 * 4 + 2 * 512 * 4  # two prompts, for both experts
    picture_chunk = (4 * 480 * 832 * 3 + 16 * 60 * 104) * 4
    caches = 8 * sum(channels * 2 * (480 // scale) * (832 // scale) * 2 for channels, scale in
                     ((96, 1), (192, 2), (384, 4), (384, 8)))  # fmt: skip
    solver = 13 * clip + 2 * clip + clip // 16 * 20  # state, history and what is kept, two predictions, the condition
    small = 6 * 9 * 4 + 4 + 4  # matrix, timestep, magnitude
    assert _stage(plan, Stage.DECODE).buffer_bytes == prompts + picture_chunk + 2 * caches
    assert _stage(plan, Stage.DENOISE, Expert.HIGH_NOISE).buffer_bytes == prompts + solver + small
    ids = 2 * 512 * 8
    assert _stage(plan, Stage.ENCODE_TEXT).buffer_bytes == prompts + ids + 512 * 4096 * 4


def test_geometries_that_do_not_fit_are_left_out_and_told() -> None:
    large = Geometry(1280, 720, 81)
    engines = {**A14B_INT4, "vae_decoder_step": (GB // 6, 12 * GB)}
    plan = plan_memory(a14b_manifest(engines, (A14B_480P, large)), SM_86, 19 * GB)
    assert plan.geometries == (A14B_480P,)
    (refusal,) = plan.refusals
    assert refusal.startswith("1280x720, 81 frames needs 22.7 GB to decode (weights 0.3 GB, scratch 12.0 GB, buffers ")
    assert "but may take 19.0 GB; these would fit: " in refusal
    with pytest.raises(KeyError, match="1280x720"):
        plan.of(large)


def test_several_geometries_stay_together_where_they_fit() -> None:
    small = Geometry(480, 480, 81)
    alone = plan_memory(a14b_manifest(), SM_86, 80 * GB)
    both = plan_memory(a14b_manifest(geometries=(A14B_480P, small)), SM_86, 80 * GB)
    assert alone.keeps_everything
    assert both.keeps_everything
    # The text encoder is one graph for all; experts and VAE are compiled for each.
    of_small = sum(weights for stage, (weights, _) in A14B_INT4.items() if stage != "text_encoder")
    assert both.peak_bytes == alone.peak_bytes + of_small
    assert not plan_memory(a14b_manifest(geometries=(A14B_480P, small)), SM_86, _BUDGET).keeps_everything


def test_a_bundle_for_another_card() -> None:
    with pytest.raises(BundleInvalid, match=r"text_encoder.onnx was not compiled for this GPU, sm_89, but for sm_86; "):
        plan_memory(a14b_manifest(), SM_89, _BUDGET)


def test_a_refusal_names_stage_figures_and_what_would_fit() -> None:
    expert = (286 * GB // 10, 38 * GB // 10)
    engines = {**A14B_INT4, "transformer_high": expert, "transformer_low": expert}
    with pytest.raises(DoesNotFit) as refused:
        plan_memory(a14b_manifest(engines, precision="fp16", compute_capability=SM_89), SM_89, _BUDGET)
    assert str(refused.value) == (
        "wan does not fit: 832x480, 81 frames needs 32.6 GB to denoise (high noise) (weights 28.6 GB, scratch 3.8 GB, "
        "buffers 0.2 GB) but may take 24.2 GB; these would fit: fp8 at 832x480, 81 frames (18.7 GB)"
    )


def test_nothing_fits_on_a_card_that_is_far_too_small() -> None:
    with pytest.raises(DoesNotFit, match=r"no precision, length or size would fit; use a GPU with more memory$"):
        plan_memory(a14b_manifest(), SM_86, GB)


# Bits a parameter that compiled plans have, and their graphs' scratch a token: another source than the estimate's.
_TRUE_BITS: Mapping[Precision, float] = {"fp16": 16.0, "int8": 8.12, "fp8": 8.12, "int4": 4.37}
_TRUE_TEXT_BITS: Mapping[Precision, float] = {"fp16": 16.0, "int8": 9.68, "fp8": 9.68, "int4": 9.68}
_GEOMETRIES = (A14B_480P, Geometry(480, 832, 81), Geometry(1280, 720, 81), Geometry(480, 480, 49))


def _compiled(parameters: tuple[int, int], scratch: tuple[int, int], geometry: Geometry, precision: Precision,
              card: str) -> Manifest:  # fmt: skip
    """A bundle of a made-up model as it would be compiled: scratch linear in tokens, the VAE's in pixels."""
    expert, text = parameters
    pixels = geometry.width_px * geometry.height_px
    tokens = pixels * ((geometry.frame_count - 1) // 4 + 1)
    for_expert = (round(expert * _TRUE_BITS[precision] / 8), scratch[0] * tokens)
    engines: dict[GraphName, tuple[int, int]] = {
        **dict.fromkeys(("vae_encoder_init", "vae_encoder_step", "vae_decoder_init"), (GB // 8, scratch[1] * pixels)),
        "vae_decoder_step": (GB // 8, 2 * scratch[1] * pixels),
        "text_encoder": (round(text * _TRUE_TEXT_BITS[precision] / 8), GB // 4),
        "transformer_high": for_expert,
        "transformer_low": for_expert,
        "guide_and_step": (0, 0),
    }
    return a14b_manifest(engines, (geometry,), precision, card)


@settings(max_examples=40, deadline=None)
@given(
    parameters=st.tuples(st.integers(GB, 20 * GB), st.integers(GB, 6 * GB)),
    scratch=st.tuples(st.integers(1, 400), st.integers(1, 20_000)),
    geometry=st.sampled_from(_GEOMETRIES),
    precision=st.sampled_from(["fp16", "int4"]),
    card=st.sampled_from([SM_86, SM_89]),
    budget_bytes=st.integers(4 * GB, 24 * GB),
)
def test_what_a_refusal_names_does_fit(
    parameters: tuple[int, int],
    scratch: tuple[int, int],
    geometry: Geometry,
    precision: Precision,
    card: str,
    budget_bytes: int,
) -> None:
    manifest = _compiled(parameters, scratch, geometry, precision, card)
    demand = demand_of(manifest, geometry, card)
    assume(Placement(demand, budget_bytes).tightest.peak_bytes > budget_bytes)
    with pytest.raises(DoesNotFit) as refused:
        plan_memory(manifest, card, budget_bytes)
    remedies = remedies_for(demand, card, budget_bytes, size_multiple_px=16)
    assert bool(remedies) == ("would fit: " in str(refused.value))
    for remedy in remedies:
        assert str(remedy) in str(refused.value)
        assert remedy.geometry.frame_count % 4 == 1
        assert remedy.geometry.width_px % 16 == remedy.geometry.height_px % 16 == 0
        exported = _compiled(parameters, scratch, remedy.geometry, remedy.precision or precision, card)
        assert plan_memory(exported, card, budget_bytes).peak_bytes <= budget_bytes


def test_remedies_are_the_mildest_ones() -> None:
    """One step milder must not fit: four frames more, sixteen pixels more on the shorter side."""
    manifest = _compiled((14 * GB, 5 * GB), (300, 1_000), A14B_480P, "int4", SM_86)
    shorter, smaller = remedies_for(demand_of(manifest, A14B_480P, SM_86), SM_86, 9 * GB, size_multiple_px=16)
    assert shorter.precision is smaller.precision is None
    assert (shorter.geometry.width_px, shorter.geometry.height_px) == (832, 480)
    longer = Geometry(832, 480, shorter.geometry.frame_count + 4)
    assert smaller.geometry.frame_count == 81
    side = smaller.geometry.height_px + 16
    larger = Geometry(832 * side // 480 // 16 * 16, side, 81)
    for milder in (longer, larger):
        with pytest.raises(DoesNotFit):
            plan_memory(_compiled((14 * GB, 5 * GB), (300, 1_000), milder, "int4", SM_86), SM_86, 9 * GB)


def test_fp8_is_advised_only_to_cards_that_have_it() -> None:
    advised = {}
    for card in (SM_86, SM_89):
        manifest = _compiled((14 * GB, 5 * GB), (1, 1), A14B_480P, "fp16", card)
        with pytest.raises(DoesNotFit) as refused:
            plan_memory(manifest, card, _BUDGET)
        advised[card] = re.findall(r"would fit: (\w+) at", str(refused.value))
    assert advised == {SM_86: ["int8"], SM_89: ["fp8"]}
