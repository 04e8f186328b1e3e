"""The engine of a bundle: how its parts are put together, with each part replaced by one that records what it gets."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from engine.api.cancellation import CancelFlag
from engine.api.capabilities import Capabilities, Family, Geometry, Limits, MemoryPlan, SamplingDefaults
from engine.api.errors import ScorerMissing
from engine.api.fields import Field
from engine.api.job import ClipPlan
from engine.api.media import Image
from engine.api.reuse import StepReuse
from engine.api.settings import EngineSettings
from engine.generate import bundle_engine, loading, opening
from engine.generate.bundle_engine import BundleEngine, seeded_noise
from engine.generate.loading import load_bundle
from engine.generate.segment_join import PutBack
from engine.memory.plan import BundleMemoryPlan
from engine.runtime.choice import Choice
from engine.runtime.gpu import Gpu
from tests.generate.computed import ComputedRuntime
from tests.jobs.scripted import prepared

if TYPE_CHECKING:
    from engine.runtime.execution import Execution

FOLDER = Path("bundle")
RUNTIME: Any = ComputedRuntime()
GPU = Gpu("RTX 3090", "sm_86", 24, "13.5", index=1, uuid="GPU-1")
SMALL, LARGE = Geometry(32, 16, 9), Geometry(64, 32, 9)
PLAN = BundleMemoryPlan(
    budget_bytes=5_000,
    plans=(MemoryPlan(SMALL, ()), MemoryPlan(LARGE, ())),
    refusals=("128x128 needs more", "256x256 too"),
    keeps_everything=True,
)


SCORER = SimpleNamespace(success=None, clip_success=SimpleNamespace(factors=(), accept_from=0.75))


KEEPING, OF_BEFORE = ([SimpleNamespace(name=name) for name in names] for names in (["velocity_1"], ["x0_1"]))


def manifest(
    *,
    has_scorer: bool = True,
    distilled: Any = None,
    guide_inputs: Any = (KEEPING,),
    family: Family = Family.WAN22_I2V_A14B,
) -> Any:
    return SimpleNamespace(
        name="tiny",
        family=family,
        license="Apache-2.0",
        checkpoint_digest="1" * 64,
        frame_rate=16.0,
        latent=SimpleNamespace(channel_count=3, spatial_stride=8, temporal_stride=4),
        schedule=SimpleNamespace(step_count=40, shift=5.0),
        guidance=SimpleNamespace(scale=3.5, low_noise_scale=4.5, negative_prompt="blurred"),
        tokenizer="the tokenizer",
        scorer=SCORER if has_scorer else None,
        notices=("From a test.",),
        expand_timesteps=False,
        distilled=distilled,
        graphs=tuple(SimpleNamespace(stage="guide_and_step", inputs=inputs) for inputs in guide_inputs),
    )


class Parts:
    """Stands for every part of the engine, and records how it was made and called."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **of_manifest: Any) -> None:
        self.manifest = manifest(**of_manifest)
        self.runtime = ComputedRuntime()
        self.made: dict[str, Any] = {}
        self.calls: list[tuple[Any, ...]] = []
        self.reported_count = 0
        self.graphs = SimpleNamespace(
            get=lambda name, geometry: (name, geometry), close=lambda: self.calls.append(("close graphs",))
        )
        self.prompts = SimpleNamespace(token_count=len)
        self.pictures = SimpleNamespace()
        self.scorer = SimpleNamespace(score=self._score)
        self.pipeline = SimpleNamespace(generate=self._generate)
        for name, part in (
            ("plan_memory", PLAN),
            ("BundleGraphs", self.graphs),
            ("PromptEncoder", self.prompts),
            ("PictureEncoder", self.pictures),
            ("Scorer", self.scorer),
            ("Pipeline", self.pipeline),
            ("open_manifest", (self.manifest, "2" * 64)),
            ("CheckedFiles", "the checked files"),
            ("check_files", None),
        ):
            module = loading if hasattr(loading, name) else bundle_engine
            monkeypatch.setattr(module, name, self._making(name, part))
        for name in ("prepare_job", "prepare_score_request", "enriched", "report_picture"):
            monkeypatch.setattr(bundle_engine, name, getattr(self, f"_{name}"))

    def engine(
        self,
        budget_bytes: int | None = 9_000,
        compute_capability: str | None = "sm_86",
        reuse: StepReuse = StepReuse.OFF,
    ) -> BundleEngine:
        anything: Any = self.runtime
        bundle = load_bundle(FOLDER, anything, budget_bytes, compute_capability)
        return BundleEngine(bundle, 7, picture_cache_bytes=8_000, reuse=reuse)

    def _making(self, name: str, part: Any) -> Any:
        def make(*given: Any, **named: Any) -> Any:
            assert name not in self.made, "made twice"
            self.made[name] = (*given, named) if named else given
            return part

        return make

    def _score(self, execution: Execution, picture: Any, prompt: str) -> str:
        self.calls.append(("score", execution.runtime, execution.cancel.is_set, picture, prompt))
        return "scored"

    def _generate(self, *given: Any) -> str:
        self.calls.append(("generate", *given))
        return "events"

    def _prepare_job(self, *given: Any) -> str:
        self.calls.append(("prepare", *given))
        return "prepared"

    def _prepare_score_request(self, *given: Any) -> tuple[Any, str]:
        self.calls.append(("prepare score request", *given))
        return SimpleNamespace(upright="decoded", data=given[0].data), "clip"

    def _enriched(self, *given: Any) -> str:
        self.calls.append(("enriched", *given))
        return "enriched report"

    def _report_picture(self, picture: Any) -> str:
        self.reported_count += 1
        return f"picture report of {picture.data.decode()}, {picture.upright}"


def test_the_engine_is_put_together_from_the_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = Parts(monkeypatch)
    engine = parts.engine()
    made = parts.made
    assert made["open_manifest"] == (FOLDER,)
    assert made["CheckedFiles"] == (None, "2" * 64, {"is_forgetful": False})
    assert made["check_files"] == (FOLDER, parts.manifest, "the checked files")
    assert made["plan_memory"] == (parts.manifest, "sm_86", 9_000, {"shares_weights": True})
    assert made["BundleGraphs"] == (FOLDER, parts.manifest, parts.runtime, PLAN, "sm_86")
    assert made["PromptEncoder"] == (FOLDER, "the tokenizer", ("text_encoder", SMALL), 7)
    scorer_graphs = (("scorer_image", SMALL), ("scorer_text", SMALL))
    assert made["Scorer"] == (FOLDER, SCORER, scorer_graphs, parts.runtime, (SMALL, LARGE))
    assert made["PictureEncoder"] == ({"is_first_frame": False, "cache_bytes": 8_000},)
    (model,) = made["Pipeline"]
    assert model.manifest is parts.manifest
    assert (model.graphs, model.scorer) == (parts.graphs, parts.scorer)
    assert (model.prompts, model.pictures) == (parts.prompts, parts.pictures)
    assert model.join == PutBack(1)
    context = model.context
    assert context.count_tokens("four") == 4
    assert context.model.longest_seconds == 9 / 16.0
    assert engine.supervision() is None  # type: ignore[func-returns-value]


def test_without_limits_the_engine_plans_for_onnx_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = Parts(monkeypatch)
    anything: Any = parts.runtime
    BundleEngine(load_bundle(FOLDER, anything), 7)
    assert parts.made["plan_memory"] == (parts.manifest, None, None, {"shares_weights": True})
    assert parts.made["BundleGraphs"][-1] is None


def test_capabilities_come_from_manifest_plan_and_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Parts(monkeypatch).engine().capabilities() == Capabilities(
        model_name="tiny",
        family=Family.WAN22_I2V_A14B,
        bundle_digest="2" * 64,
        checkpoint_digest="1" * 64,
        runtime="by hand",
        license="Apache-2.0",
        geometries=(SMALL, LARGE),
        defaults=SamplingDefaults(
            step_count=40,
            guidance_scale=3.5,
            guidance_scale_low_noise=4.5,
            shift=5.0,
            frame_rate=16.0,
            negative_prompt="blurred",
        ),
        limits=Limits(),
        match_supported=True,
        notices=("From a test.", "Not served here: 128x128 needs more.", "Not served here: 256x256 too."),
        memory_budget_bytes=5_000,
        memory_plans=PLAN.plans,
        accept_from=0.75,
        reuse_supported=True,
        given_frame_count=1,
    )


def test_segments_begin_as_the_caller_says(monkeypatch: pytest.MonkeyPatch) -> None:
    parts, join = Parts(monkeypatch), PutBack(9)
    anything: Any = parts.runtime
    engine = BundleEngine(load_bundle(FOLDER, anything), 7, join=join)
    assert parts.made["Pipeline"][0].join is join
    assert engine.capabilities().given_frame_count == 9


@pytest.mark.parametrize(
    ("of_manifest", "default", "is_supported"),
    [
        ({}, StepReuse.FAST, True),
        ({"distilled": "for four steps"}, StepReuse.OFF, False),
        ({"guide_inputs": (KEEPING, OF_BEFORE)}, StepReuse.OFF, False),
    ],
    ids=["this export", "distilled", "a bundle of before"],
)
def test_steps_are_reused_where_the_bundle_allows_it(
    of_manifest: dict[str, Any], default: StepReuse, is_supported: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    capabilities = Parts(monkeypatch, **of_manifest).engine(reuse=StepReuse.FAST).capabilities()
    assert (capabilities.defaults.reuse, capabilities.reuse_supported) == (default, is_supported)


def test_a_bundle_without_a_scorer_scores_no_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = Parts(monkeypatch, has_scorer=False)
    engine = parts.engine()
    assert not engine.capabilities().match_supported
    assert "Scorer" not in parts.made
    assert parts.made["Pipeline"][0].scorer is None
    with pytest.raises(ScorerMissing) as raised:
        engine.score_match(Image(b"cat"), "a cat")
    assert raised.value.field is Field.MATCH_MODE


def test_a_job_is_prepared_by_the_rules_with_the_engines_scorer(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = Parts(monkeypatch)
    engine = parts.engine()
    job: Any = "a job"
    prepared_job: Any = engine.prepare(job)
    assert prepared_job == "prepared"
    assert parts.calls == [("prepare", "a job", engine.capabilities(), engine.score_match)]


def test_a_pair_is_scored_and_its_report_enriched(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = Parts(monkeypatch)
    engine = parts.engine()
    image, plan = Image(b"cat"), ClipPlan(guidance_scale=2.0)
    report: Any = engine.score_match(image, "a cat", plan)
    assert report == "enriched report"
    context = parts.made["Pipeline"][0].context
    assert parts.calls == [
        ("prepare score request", image, "a cat", plan, engine.capabilities()),
        ("score", parts.runtime, False, "decoded", "a cat"),
        ("enriched", "scored", "a cat", "picture report of cat, decoded", "clip", context),
    ]


def test_a_picture_is_reported_on_once_for_any_number_of_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = Parts(monkeypatch)
    engine = parts.engine()
    for prompt in ("a cat", "a dog"):
        engine.score_match(Image(b"cat"), prompt)
    assert parts.reported_count == 1
    engine.score_match(Image(b"dog"), "a dog")
    assert parts.reported_count == 2
    assert [call[3] for call in parts.calls if call[0] == "enriched"] == [
        "picture report of cat, decoded",
        "picture report of cat, decoded",
        "picture report of dog, decoded",
    ]


def test_reports_on_the_last_128_pictures_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = Parts(monkeypatch)
    engine = parts.engine()
    for number in range(128):
        engine.score_match(Image(str(number).encode()), "a cat")
    engine.score_match(Image(b"0"), "a cat")
    assert parts.reported_count == 128
    engine.score_match(Image(b"another"), "a cat")
    engine.score_match(Image(b"1"), "a cat")
    assert parts.reported_count == 130
    assert hashlib.sha256(b"1").digest() in engine._picture_reports._entries


def test_a_clip_is_generated_from_the_noise_of_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = Parts(monkeypatch)
    engine, job, cancel = parts.engine(), prepared(), CancelFlag()
    events: Any = engine.generate(job, cancel)
    assert events == "events"
    ((name, given, noise_of, execution),) = parts.calls
    assert name == "generate"
    assert given is job
    np.testing.assert_array_equal(noise_of(job.settings), seeded_noise(job.settings, parts.manifest))
    assert execution.runtime is parts.runtime
    assert execution.cancel is cancel


def test_a_clip_is_generated_from_given_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = Parts(monkeypatch)
    job, noise = prepared(), np.zeros((1, 3, 3, 4, 4), np.float32)
    parts.engine().generate_from_noise(job, noise, CancelFlag())
    assert parts.calls[0][1] is job
    assert parts.calls[0][2](job.settings) is noise


def test_a_closed_engine_frees_everything_and_takes_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = Parts(monkeypatch)
    engine = parts.engine()
    engine.close()
    assert parts.calls == [("close graphs",)]
    assert parts.runtime.is_closed
    with pytest.raises(RuntimeError, match=r"^the engine is closed$"):
        engine.generate(prepared(), CancelFlag())
    with pytest.raises(ScorerMissing):
        engine.score_match(Image(b"cat"), "a cat")


def test_the_noise_of_a_seed_never_changes() -> None:
    settings = replace(prepared().settings, width_px=48, height_px=32, frame_count=13, seed=7)
    noise = seeded_noise(settings, manifest())
    assert noise.shape == (1, 3, 4, 4, 6)
    assert noise.dtype == np.float32
    assert noise.ravel()[:4].tolist() == [
        -0.5023735761642456,
        0.5068453550338745,
        2.019348621368408,
        0.8514957427978516,
    ]
    another = seeded_noise(replace(settings, seed=8), manifest())
    assert not np.array_equal(noise, another)


def test_noise_has_a_cell_for_the_first_frame_and_one_for_each_further_stride() -> None:
    other = manifest()
    other.latent.temporal_stride = 2
    settings = replace(prepared().settings, width_px=24, height_px=16, frame_count=13)
    assert seeded_noise(settings, other).shape == (1, 3, 7, 2, 3)


MANIFEST = SimpleNamespace(expand_timesteps=False, geometries=(SMALL, LARGE))


class Opened:
    """Records how a bundle was opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[Any, ...]] = []
        choice = Choice(RUNTIME, "sm_86", gpu_bytes=24, gpu=GPU)
        for name, result in (
            ("parse_manifest", MANIFEST),
            ("choose_runtime", choice),
            ("default_budget_bytes", 8_000),
            ("default_cache_folder", Path("default cache")),
            ("load_bundle", "the loaded bundle"),
        ):
            monkeypatch.setattr(opening, name, self._recording(name, result))
        monkeypatch.setattr(bundle_engine, "BundleEngine", self._recording("BundleEngine", "the engine"))

    def _recording(self, name: str, result: Any) -> Any:
        def call(*given: Any, **named: Any) -> Any:
            self.calls.append((name, *given, *named.items()))
            return result

        return call


def told_of_a_gpu(cache_folder: Path, verify_digests: str) -> tuple[Any, ...]:
    """What ``load_bundle`` is told for a GPU beside the bundle and its budget."""
    return ("shares_weights", False), ("cache_folder", cache_folder), ("verify_digests", verify_digests)


def chosen(picture_cache_bytes: int, reuse: StepReuse, join: PutBack = PutBack(1)) -> tuple[Any, ...]:
    """What ``BundleEngine`` is told beside the bundle."""
    return ("picture_cache_bytes", picture_cache_bytes), ("join", join), ("reuse", reuse), ("gpu", GPU)


def test_a_bundle_is_opened_with_the_defaults_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Opened(monkeypatch)
    engine: Any = opening.open_bundle(FOLDER, EngineSettings())
    assert engine == "the engine"
    assert opened.calls == [
        ("parse_manifest", FOLDER),
        ("default_cache_folder",),
        ("choose_runtime", MANIFEST, "auto", 0, Path("default cache"), "auto"),
        ("default_budget_bytes", "sm_86", 24),
        ("load_bundle", FOLDER, RUNTIME, 8_000, "sm_86", *told_of_a_gpu(Path("default cache"), "once")),
        ("BundleEngine", "the loaded bundle", 64, *chosen(256 * 2**20, StepReuse.OFF)),
    ]


def test_the_modules_of_the_engine_are_imported_while_its_graphs_load(monkeypatch: pytest.MonkeyPatch) -> None:
    opened, imported = Opened(monkeypatch), Event()
    names: list[str] = []

    def import_module(name: str) -> None:
        names.append(name)
        imported.set()

    def load(*_: Any, **__: Any) -> str:
        assert imported.wait(5.0)
        return "the loaded bundle"

    monkeypatch.setattr(opening, "import_module", import_module)
    monkeypatch.setattr(opening, "load_bundle", load)
    opening.open_bundle(FOLDER, EngineSettings())
    assert names == ["engine.generate.bundle_engine"]
    assert opened.calls[-1] == ("BundleEngine", "the loaded bundle", 64, *chosen(256 * 2**20, StepReuse.OFF))


@pytest.mark.parametrize("budget_bytes", [5_000, 0])
def test_settings_come_before_the_defaults(budget_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Opened(monkeypatch)
    settings = EngineSettings(
        thread_count=3,
        text_cache_entry_count=9,
        memory_budget_bytes=budget_bytes,
        runtime="tensorrt",
        kernel_cache_folder=Path("own cache"),
        device="cuda:1",
        reuse=StepReuse.FAST,
        picture_cache_bytes=1_000,
        verify_digests="always",
        given_frame_count=5,
    )
    opening.open_bundle(FOLDER, settings)
    assert opened.calls == [
        ("parse_manifest", FOLDER),
        ("choose_runtime", MANIFEST, "tensorrt", 3, Path("own cache"), "cuda:1"),
        ("load_bundle", FOLDER, RUNTIME, budget_bytes, "sm_86", *told_of_a_gpu(Path("own cache"), "always")),
        ("BundleEngine", "the loaded bundle", 9, *chosen(1_000, StepReuse.FAST, PutBack(5))),
    ]
