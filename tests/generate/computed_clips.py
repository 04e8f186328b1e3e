"""A pipeline on graphs that are Python functions, its jobs, and shortcuts to its events."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.api.capabilities import Family, Geometry
from engine.api.events import Event, Expert, FrameMatch, Stage, StageStarted
from engine.api.job import PictureFit, PreparedJob
from engine.api.match_report import MatchReport, SuccessBasis, SuccessEstimate
from engine.api.media import Box
from engine.generate.model_parts import ModelParts
from engine.generate.picture_encoder import PictureEncoder
from engine.generate.pipeline import Pipeline
from engine.generate.segment_join import PutBack
from engine.matching.review import Review
from engine.testing.fake_match import fake_match_report
from tests.generate.computed import (
    ComputedGraph,
    ComputedRuntime,
    accumulating_graphs,
    execution_on,
    solver_graph,
    transformer_graph,
)
from tests.jobs.scripted import prepared

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pytest

    from engine.api.cancellation import CancelFlag
    from engine.bundle.graph_spec import GraphName
    from engine.runtime.base import Array

GEOMETRY = Geometry(16, 8, 9)
LATENTS = (1, 2, 3, 1, 2)
FRAME, FRAMES, LATENT = (1, 3, 1, 8, 16), (1, 3, 4, 8, 16), (1, 2, 1, 1, 2)
MATCH, TEXT, IMAGE, DENOISE, DECODE = Stage
ROW_COUNT = 6
DIAGNOSIS: Any = "the diagnosis"
MATCHES = (FrameMatch(0, 60.0),)
SUCCESS = SuccessEstimate(0.75, SuccessBasis.MEASURED)
VAE_ENCODER = ["vae_encoder_init", "vae_encoder_step", "vae_encoder_step"]
VAE_DECODER = ["vae_decoder_init", "vae_decoder_step", "vae_decoder_step"]


def job(**fields: Any) -> PreparedJob:
    """9 frames of 16x8 in four steps, whose picture is all of one grey; settings by name, other fields as ``job_…``."""
    own = {name.removeprefix("job_"): value for name, value in fields.items() if name.startswith("job_")}
    settings = {name: value for name, value in fields.items() if not name.startswith("job_")}
    values = {
        "width_px": 16,
        "height_px": 8,
        "negative_prompt": "a dog",
        "crop": Box(0, 0, 32, 16),
        "picture_fit": PictureFit.CROP_CENTER,
    }
    whole = prepared(**values | settings)
    return replace(whole, **{"prompt": "a fox runs", "picture": np.full((8, 16, 3), 204, np.uint8), **own})


class StubPrompts:
    """Embeddings of a prompt: one row for each word, filled with the number of its letters."""

    row_count = ROW_COUNT

    def __init__(self, runtime: ComputedRuntime) -> None:
        self._runtime = runtime
        self.encoded: list[str] = []

    def encode(self, prompt: str, execution: Any) -> Array:
        execution.cancel.check()
        assert execution.runtime is self._runtime
        self.encoded.append(prompt)
        return np.array([[[len(word)] * 3 for word in prompt.split()]], np.float32)


class StubScorer:
    """Scores 10 for each word, as the fake engine does, or what ``report`` says."""

    def __init__(self) -> None:
        self.report = fake_match_report("a fox runs", 16, 8, [GEOMETRY])
        self.asked: list[tuple[Any, Array, str]] = []

    def score(self, execution: Any, picture: Array, prompt: str) -> MatchReport:
        self.asked.append((execution, picture, prompt))
        return self.report


class StubWatch:
    """Keeps the frames that it saw."""

    def __init__(self, frame_count: int, frame_rate: float) -> None:
        self.made_with = (frame_count, frame_rate)
        self.frames: list[Array] = []

    def add(self, pixels: Array) -> None:
        self.frames.append(pixels)


class Clips:
    """A pipeline on a computed model of two experts, or of one with ``family`` 5B; review of clips is recorded."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        *,
        is_5b: bool = False,
        has_scorer: bool = True,
        picture_cache_bytes: int = 0,
        keeps: bool = True,
    ) -> None:
        self.is_5b = is_5b
        self.runtime = ComputedRuntime()
        self.prompts = StubPrompts(self.runtime)
        self.scorer = StubScorer() if has_scorer else None
        self.entered: list[tuple[Any, ...]] = []
        self.reviews: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        self.enriched_with: list[tuple[Any, ...]] = []
        monkeypatch.setattr("engine.generate.clip_run.ClipWatch", StubWatch)
        monkeypatch.setattr("engine.generate.clip_run.review_clip", self._review)
        monkeypatch.setattr("engine.generate.clip_match.enriched", self._enrich)
        self.manifest = SimpleNamespace(
            schedule=SimpleNamespace(order=2, boundary_timestep=None if is_5b else 900.0, train_step_count=1000),
            guidance=SimpleNamespace(scale=3.5),
            scorer="the scorer's entry" if has_scorer else None,
            preview=SimpleNamespace(matrix=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)), bias=(0.5, 0.5, 0.25)),
            expand_timesteps=is_5b,
            family=Family.WAN22_TI2V_5B if is_5b else Family.WAN22_I2V_A14B,
        )
        self.graphs = self._graphs(keeps)
        pictures = PictureEncoder(is_first_frame=is_5b, cache_bytes=picture_cache_bytes)
        parts: Any = (
            self.manifest,
            self,
            self.scorer,
            "the context",
            self.prompts,
            pictures,
            PutBack(1 if is_5b else 5),
        )
        self.pipeline = Pipeline(ModelParts(*parts))

    def _graphs(self, keeps: bool) -> dict[str, Any]:
        encoder = accumulating_graphs(self.runtime, "encoder", FRAME, FRAMES, LATENT, LATENT)
        decoder = accumulating_graphs(self.runtime, "decoder", LATENT, LATENT, FRAME, FRAMES)
        graphs: dict[str, Any] = {graph.spec.stage: graph for graph in (*encoder, *decoder)}
        if self.is_5b:  # encodes one frame, and keeps nothing for a next one
            graphs["vae_encoder_init"] = ComputedGraph(
                self.runtime,
                "vae_encoder_init",
                {"picture": FRAME},
                {"latent": LATENT},
                lambda inputs: {"latent": np.full(LATENT, inputs["picture"].mean())},
            )
        condition = LATENT if self.is_5b else (1, 6, 3, 1, 2)
        names: tuple[GraphName, ...] = ("transformer",) if self.is_5b else ("transformer_high", "transformer_low")
        by_batch: dict[str, Any] = {}
        for name in names:
            choices = {}
            for batch_count in (1, 2):
                shapes: Any = {
                    "latents": LATENTS,
                    "condition": condition,
                    "prompt_embeds": (batch_count, "rows", 3),
                    "prompt_bias": (batch_count, "rows"),
                }
                choices[batch_count] = transformer_graph(self.runtime, name, 0.25, shapes)
            by_batch[name] = _ByBatch(choices, "prompt_embeds")
        solvers: dict[int, Any] = {
            count: solver_graph(self.runtime, LATENTS, 2, count, keeps=keeps) for count in (1, 2)
        }
        solver = _ByBatch(solvers, "prediction")
        return {**graphs, **by_batch, "guide_and_step": solver}

    def get(self, name: str, geometry: Geometry) -> Any:
        assert geometry == GEOMETRY
        return self.graphs[name]

    def enter(self, geometry: Geometry, stage: Stage, expert: Expert | None = None) -> None:
        assert geometry == GEOMETRY
        self.entered.append((stage, expert, len(self.runtime.calls)))

    def _review(self, *given: Any, **named: Any) -> Review:
        self.reviews.append((given, named))
        return Review(MATCHES, DIAGNOSIS, SUCCESS)

    def _enrich(self, report: MatchReport, *given: Any) -> MatchReport:
        self.enriched_with.append((report, *given))
        return replace(report, similarity=0.125)

    def start(self, asked: PreparedJob, cancel: CancelFlag | None = None) -> Iterator[Event]:
        noise = np.random.default_rng(3).standard_normal(LATENTS, dtype=np.float32)
        self.execution = execution_on(self.runtime, cancel)
        return self.pipeline.generate(asked, lambda _: noise, self.execution)

    def run(self, asked: PreparedJob) -> list[Event]:
        return list(self.start(asked))

    def conditionings(self, name: str = "transformer_high") -> Array:
        """What the first call of a transformer got."""
        return self.graphs[name].first_inputs()["condition"]


class _ByBatch:
    """One graph for each number of predictions, as the one graph of a bundle takes both."""

    def __init__(self, graphs: dict[int, Any], chosen_by: str) -> None:
        self.graphs, self._chosen_by = graphs, chosen_by
        self.spec = next(iter(graphs.values())).spec

    def run(self, inputs: Any, outputs: Any) -> None:
        self.graphs[len(inputs[self._chosen_by].array)].run(inputs, outputs)

    def calls(self) -> list[dict[str, Array]]:
        return [inputs for graph in self.graphs.values() for inputs in graph.inputs]

    def first_inputs(self) -> dict[str, Array]:
        return self.calls()[0]


def of_kind(kind: type[Any], events: Sequence[Event]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def names_of(events: Sequence[Event]) -> list[str]:
    return [event.stage.value if isinstance(event, StageStarted) else type(event).__name__ for event in events]
