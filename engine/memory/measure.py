"""Reads from a manifest how much memory a job needs.

Compiled plans state their weights and scratch (``EngineSpec``). A graph without plans runs on ONNX Runtime, which maps
the weight files of the graph's component once for all its graphs; its scratch is unknown before a run and not counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from engine.api.capabilities import Family, Geometry
from engine.api.errors import BundleInvalid
from engine.api.events import Expert, Stage
from engine.bundle.crossing import crossing_bytes, place_crossings
from engine.bundle.graph_spec import DTYPE_BYTES, GraphName, GraphSpec, TensorSpec
from engine.bundle.manifest import Manifest
from engine.bundle.scorer_spec import MAX_PICTURE_COUNT, MAX_SENTENCE_COUNT
from engine.memory.demand import Amount, GraphDemand, JobDemand, StageDemand

SCORER_GRAPHS: tuple[GraphName, ...] = ("scorer_image", "scorer_text")
_A14B_ORDER: tuple[tuple[Stage, Expert | None, tuple[GraphName, ...]], ...] = (
    (Stage.ENCODE_TEXT, None, ("text_encoder",)),
    (Stage.ENCODE_IMAGE, None, ("vae_encoder_init", "vae_encoder_step")),
    (Stage.DENOISE, Expert.HIGH_NOISE, ("transformer_high", "guide_and_step")),
    (Stage.DENOISE, Expert.LOW_NOISE, ("transformer_low", "guide_and_step")),
    (Stage.DECODE, None, ("vae_decoder_init", "vae_decoder_step")),
)
_5B_ORDER: tuple[tuple[Stage, Expert | None, tuple[GraphName, ...]], ...] = (
    (Stage.ENCODE_TEXT, None, ("text_encoder",)),
    (Stage.ENCODE_IMAGE, None, ("vae_encoder_init",)),
    (Stage.DENOISE, Expert.SINGLE, ("transformer", "guide_and_step")),
    (Stage.DECODE, None, ("vae_decoder_init", "vae_decoder_step")),
)
_ORDER = {Family.WAN22_I2V_A14B: _A14B_ORDER, Family.WAN22_TI2V_5B: _5B_ORDER}
_OF_TRANSFORMER: tuple[GraphName, ...] = ("transformer", "transformer_high", "transformer_low")
_PREDICTIONS_OF_PLANS = 1  # one call computes one prediction on a GPU
_MAX_BATCH_COUNT = 2  # both halves of guidance in one call
# Folder or file of a stage's weights, as in the Diffusers layout.
_COMPONENTS: Mapping[GraphName, str] = {
    "text_encoder": "text_encoder",
    "transformer": "transformer",
    "transformer_high": "transformer",
    "transformer_low": "transformer_2",
    "scorer_image": "scorer",
    "scorer_text": "scorer",
    **dict.fromkeys(("vae_encoder_init", "vae_encoder_step", "vae_decoder_init", "vae_decoder_step"), "vae"),
}


def graph_names_of(manifest: Manifest) -> tuple[GraphName, ...]:
    """The names of all graphs that the bundle must hold."""
    names = dict.fromkeys(name for _, _, runs in _ORDER[manifest.family] for name in runs)
    return (*names, *(SCORER_GRAPHS if manifest.scorer else ()))


def runs_in(family: Family, stage: Stage, expert: Expert | None) -> tuple[GraphName, ...]:
    """The graphs that run in a stage of a job, in order."""
    (found,) = [runs for *key, runs in _ORDER[family] if key == [stage, expert]]
    return found


def graph_for(manifest: Manifest, name: GraphName, geometry: Geometry, compute_capability: str | None) -> GraphSpec:
    """The graph of a name for a geometry and a GPU; ``compute_capability`` None: for ONNX Runtime.

    Raises ``BundleInvalid``.
    """
    first = manifest.graph(name, geometry)
    if compute_capability is None:
        return first
    for spec in manifest.graphs:
        if spec.stage == name and spec.serves(geometry) and spec.engine(compute_capability) is not None:
            return spec
    held = sorted({engine.compute_capability for spec in manifest.graphs for engine in spec.engines})
    raise BundleInvalid(
        f"{first.file} was not compiled for this GPU, {compute_capability}, but for {', '.join(held) or 'none'}; "
        "export the checkpoint again with --gpu for this GPU"
    )


def demand_of(
    manifest: Manifest, geometry: Geometry, compute_capability: str | None, *, shares_weights: bool = True
) -> JobDemand:
    """The demand of a job on a GPU, or on ONNX Runtime. Raises ``BundleInvalid``.

    With ``shares_weights`` the graphs of a component map its files together, as on a CPU; else each holds its own copy.
    """
    specs = {name: graph_for(manifest, name, geometry, compute_capability) for name in graph_names_of(manifest)}
    graphs: dict[GraphName, GraphDemand] = {}
    weight_bytes: dict[str, int] = {}
    for name, spec in specs.items():
        stores = _stores(manifest, spec, compute_capability)
        if not shares_weights:
            stores = {spec.file: sum(stores.values())}
        weight_bytes |= stores
        plans = [plan for plan in spec.engines if plan.compute_capability == compute_capability]
        scratch = _growing(name, max((plan.activation_bytes for plan in plans), default=0))
        graphs[name] = GraphDemand(spec.precision, tuple(stores), scratch)
    buffers = _Buffers(manifest, specs, compute_capability)
    return JobDemand(
        geometry=geometry,
        temporal_stride=manifest.latent.temporal_stride,
        graphs=graphs,
        weight_bytes=weight_bytes,
        stages=tuple(
            StageDemand(stage, expert, runs, buffers.of(stage, runs)) for stage, expert, runs in _ORDER[manifest.family]
        ),
        standing=SCORER_GRAPHS if manifest.scorer else (),
        standing_buffers=buffers.of_scores() if manifest.scorer else Amount(),
    )


def _stores(manifest: Manifest, spec: GraphSpec, compute_capability: str | None) -> dict[str, int]:
    """Bytes of weights by store.

    A compiled plan is a store of its own; the files of a component are shared by its graphs.
    """
    plans = {plan.file: plan.weight_bytes for plan in spec.engines if plan.compute_capability == compute_capability}
    if plans:
        return plans
    component = _COMPONENTS.get(spec.stage)
    files = {name for name in manifest.files if name.endswith(".safetensors") and component in _components_in(name)}
    return {name: manifest.files[name].byte_count for name in sorted({spec.file, *files})}


def _components_in(name: str) -> set[str]:
    """``weights/vae.safetensors`` and ``checkpoint/vae/shard-1.safetensors`` both belong to ``vae``."""
    return {part.partition(".")[0] for part in PurePosixPath(name).parts}


def _growing(name: GraphName, scratch_bytes: int) -> Amount:
    if name in _OF_TRANSFORMER or name == "guide_and_step":
        return Amount(by_volume=scratch_bytes)
    if _COMPONENTS[name] == "vae":  # chunk by chunk, whatever the length
        return Amount(by_area=scratch_bytes)
    return Amount(fixed=scratch_bytes)


class _Buffers:
    """Sizes of the tensors that the pipeline binds, by stage."""

    def __init__(
        self, manifest: Manifest, specs: Mapping[GraphName, GraphSpec], compute_capability: str | None
    ) -> None:
        self._specs = specs
        self._compute_capability = compute_capability
        self._axes = {
            "batch": _MAX_BATCH_COUNT,
            "rows": manifest.tokenizer.length,
            "columns": len(specs["guide_and_step"].inputs) - 2 + _MAX_BATCH_COUNT,
            "pictures": MAX_PICTURE_COUNT,
            "sentences": MAX_SENTENCE_COUNT,
        }

    def of(self, stage: Stage, runs: tuple[GraphName, ...]) -> Amount:
        """Buffers of a stage. Prompt embeddings are uploaded with the text and stay until the job ends."""
        if stage is Stage.ENCODE_TEXT:
            return self._prompts() + Amount(fixed=self._all(runs))
        if stage is Stage.DENOISE:
            return self._prompts() + self._denoise(*runs)
        return self._prompts() + Amount(by_area=self._vae_stream(runs))

    def of_scores(self) -> Amount:
        """Buffers of the scorer: one call at a time of each graph, for all callers."""
        return Amount(fixed=self._all(SCORER_GRAPHS))

    def _all(self, names: Iterable[GraphName]) -> int:
        """Every input and output."""
        return sum(self._bytes(item) for name in names for item in self._tensors(name).values())

    def _prompts(self) -> Amount:
        """Embeddings and bias of both prompts, which experts share."""
        transformer = next(name for name in _OF_TRANSFORMER if name in self._specs)
        inputs = self._tensors(transformer)
        return Amount(fixed=self._bytes(inputs["prompt_embeds"]) + self._bytes(inputs["prompt_bias"]))

    def _denoise(self, transformer: GraphName, guide: GraphName) -> Amount:
        """The solver's state and what it keeps, both twice, its history, both predictions, the image conditioning."""
        state = self._tensors(guide)
        small = {name: self._bytes(item) for name, item in state.items() if name in {"matrix", "magnitude"}}
        large = sum(self._bytes(item) for name, item in state.items() if name not in small)
        condition, timestep = (self._bytes(self._tensors(transformer)[name]) for name in ("condition", "timestep"))
        crossing = self._crossing(transformer)
        return Amount(fixed=sum(small.values()) + timestep, by_volume=large + condition + crossing)

    def _crossing(self, transformer: GraphName) -> int:
        """What crosses between the parts of a plan; most of it is the hidden state, which grows with tokens."""
        engine = None if self._compute_capability is None else self._specs[transformer].engine(self._compute_capability)
        if engine is None:
            return 0
        lengths = {"batch": _PREDICTIONS_OF_PLANS, "rows": self._axes["rows"]}
        return crossing_bytes(place_crossings(engine.parts, lengths))

    def _vae_stream(self, runs: tuple[GraphName, ...]) -> int:
        """Two banks of caches, and the larger of a chunk with its result."""
        chunks, banks = [], 0
        for name in runs:
            spec = self._specs[name]
            caches = [item for item in spec.inputs if item.name.startswith("cache_")]
            chunk = [item for item in spec.inputs if item not in caches]
            result = [item for item in spec.outputs if not item.name.startswith("next_cache_")]
            banks = max(banks, 2 * sum(self._bytes(item) for item in caches))
            chunks.append(sum(self._bytes(item) for item in (*chunk, *result)))
        return banks + max(chunks)

    def _tensors(self, name: GraphName) -> dict[str, TensorSpec]:
        spec = self._specs[name]
        return {item.name: item for item in (*spec.inputs, *spec.outputs)}

    def _bytes(self, tensor: TensorSpec) -> int:
        try:
            axes = [self._axes[axis] if isinstance(axis, str) else axis for axis in tensor.shape]
        except KeyError as error:
            raise BundleInvalid(
                f"tensor {tensor.name} has an axis {error} of unknown length; export the checkpoint again"
            ) from error
        return math.prod(axes) * DTYPE_BYTES[tensor.dtype]
