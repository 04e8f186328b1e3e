"""Memory of true-size plans on a 24 GB GPU: ``python -m benchmarks.full_size_memory`` writes docs/memory.md's table.

Reads the manifest entries that ``full_size_engine --graphs`` wrote and computes the engine's memory plan from them, so
that the page shows the plan that a server would follow.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from benchmarks.full_size_cases import ATTENTION_MARK
from engine.api.capabilities import Family, Geometry, MemoryPlan, StageMemory
from engine.api.events import Expert
from engine.bundle.graph_spec import GraphSpec
from engine.bundle.manifest import GeometrySpec, GuidanceSpec, LatentSpec, Manifest, PreviewSpec, ScheduleSpec
from engine.bundle.scorer_spec import TokenizerSpec
from engine.memory.measure import demand_of
from engine.memory.placement import Placement
from engine.memory.plan import default_budget_bytes

ROOT = Path(__file__).resolve().parents[1]
GRAPHS = ROOT / "benchmarks" / "results" / "full_size_graphs.json"
PAGE = ROOT / "docs" / "memory.md"
_BEGIN, _END = "<!-- table: python -m benchmarks.full_size_memory -->\n", "<!-- end of table -->\n"
_GPU_NAMES = {"sm_86": "RTX 3090", "sm_89": "RTX 4090"}
_TOKEN_COUNT = 512
_TEMPORAL_STRIDE = 4
_FURTHER = (Geometry(1280, 720, 81), Geometry(832, 480, 121))  # of A14B


def main() -> None:
    """Rewrites the table in the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.full_size_memory")
    parser.add_argument("--graphs", type=Path, default=GRAPHS, help="file written by full_size_engine --graphs")
    parser.add_argument("--page", type=Path, default=PAGE, help="page whose table is rewritten")
    options = parser.parse_args()
    page = options.page.read_text(encoding="utf-8")
    options.page.write_text(with_tables(page, tables(read_graphs(options.graphs))), encoding="utf-8")


def read_graphs(file: Path) -> list[GraphSpec]:
    """Returns the manifest entries of a file; none if the file does not exist."""
    if not file.is_file():
        return []
    return [GraphSpec.from_dict(item) for item in json.loads(file.read_text(encoding="utf-8"))]


def with_tables(page: str, text: str) -> str:
    """Returns the page with the text between its markers replaced."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}{text}{_END}{after}"


def tables(graphs: Sequence[GraphSpec]) -> str:
    """Returns the Markdown: a row for each transformer, GPU and size, and the stages of those that were compiled."""
    planned = [
        _Planned(manifest, capability, geometry)
        for manifest, capability in manifests(graphs)
        for geometry in _geometries(manifest)
    ]
    header = "| model | size | GPU | scratch | most | experts while denoising | loaded in every job |\n"
    rows = "".join(item.row() for item in planned)
    return f"{header}|---|---|---|---|---|---|---|\n{rows}\n{''.join(item.section() for item in planned)}"


def _geometries(manifest: Manifest) -> Iterator[Geometry]:
    """The compiled geometry, and further ones of the same model."""
    (compiled,) = manifest.geometries
    yield Geometry(compiled.width_px, compiled.height_px, compiled.frame_count)
    if manifest.family is Family.WAN22_I2V_A14B:
        yield from _FURTHER


def manifests(graphs: Sequence[GraphSpec]) -> Iterator[tuple[Manifest, str]]:
    """Yields (manifest, compute capability) for each compiled transformer, with the graphs of its size and GPU."""
    for transformer in graphs:
        if transformer.stage not in {"transformer", "transformer_high"}:
            continue
        for engine in transformer.engines:
            yield _manifest(transformer, engine.compute_capability, graphs), engine.compute_capability


def _manifest(transformer: GraphSpec, capability: str, graphs: Iterable[GraphSpec]) -> Manifest:
    width_px, height_px, frame_count = transformer.width_px, transformer.height_px, transformer.frame_count
    assert width_px is not None
    assert height_px is not None
    assert frame_count is not None
    geometry = Geometry(width_px, height_px, frame_count)
    others = [
        graph
        for graph in graphs
        if not graph.stage.startswith("transformer") and graph.serves(geometry) and graph.engine(capability)
    ]
    has_experts = transformer.stage == "transformer_high"
    experts = [transformer, _as_low_noise(transformer)] if has_experts else [transformer]
    prediction = transformer.outputs[0].shape  # [B, z, T, h, w]
    return Manifest(
        name=f"{'Wan2.2-I2V-A14B' if has_experts else 'Wan2.2-TI2V-5B'} in {_precision(transformer)}",
        family=Family.WAN22_I2V_A14B if has_experts else Family.WAN22_TI2V_5B,
        license="",
        checkpoint_digest="",
        exported_with={},
        geometries=(GeometrySpec(width_px=width_px, height_px=height_px, frame_count=frame_count),),
        frame_rate=16.0,
        expand_timesteps=not has_experts,
        latent=LatentSpec(
            channel_count=int(prediction[1]),
            spatial_stride=width_px // int(prediction[4]),
            temporal_stride=_TEMPORAL_STRIDE,
        ),
        schedule=ScheduleSpec(
            order=2,
            shift=5.0,
            step_count=40,
            train_step_count=1000,
            boundary_timestep=900.0 if has_experts else None,
        ),
        guidance=GuidanceSpec(scale=3.5, low_noise_scale=3.5 if has_experts else None, negative_prompt=""),
        tokenizer=TokenizerSpec(file="", length=_TOKEN_COUNT, pad_id=0, pad_side="right", lower_case=False),
        preview=PreviewSpec(matrix=(), bias=(0.0, 0.0, 0.0), r_squared=0.0),
        scorer=None,
        graphs=(*experts, *others),
        files={},
    )


def _precision(transformer: GraphSpec) -> str:
    """The precision with that of attention, which the file's name tells (``full_size_export``)."""
    name = transformer.precision.upper()
    return f"{name}, attention too" if ATTENTION_MARK in transformer.file else name


def _as_low_noise(high: GraphSpec) -> GraphSpec:
    """Returns the high-noise expert's entry as the low-noise expert's: both have the same shape, one is compiled."""
    engines = tuple(engine.with_changes(file=f"low_noise/{engine.file}") for engine in high.engines)
    return high.with_changes(stage="transformer_low", file=f"low_noise/{high.file}", engines=engines)


class _Planned:
    """A plan of one size, or the engine's refusal.

    ``geometry`` is the compiled one, or another one for which scratch and buffers are scaled as the engine does to
    name what would fit.
    """

    def __init__(self, manifest: Manifest, capability: str, geometry: Geometry) -> None:
        self._name, self._gpu = manifest.name, _GPU_NAMES.get(capability, capability)
        (compiled,) = manifest.geometries
        self.is_compiled = geometry == Geometry(compiled.width_px, compiled.height_px, compiled.frame_count)
        self._size = f"{geometry.width_px}×{geometry.height_px}×{geometry.frame_count}"
        budget = default_budget_bytes(capability)
        assert budget is not None
        self._budget_bytes = budget
        demand = demand_of(manifest, next(_geometries(manifest)), capability).at(geometry)
        self._plan = Placement(demand, budget).plan()
        self._least_bytes = Placement(demand, None).tightest.peak_bytes

    def row(self) -> str:
        """The row of the table of all."""
        most, experts, swapped = f"does not fit: {self._least_bytes / 1e9:.2f} GB at least", "", ""
        if self._plan is not None:
            most = f"{self._plan.peak_bytes / 1e9:.2f} GB"
            experts, swapped = _experts(self._plan), ", ".join(self._plan.swapped) or "nothing"
        source = "compiled" if self.is_compiled else "scaled"
        return f"| {self._name} | {self._size} | {self._gpu} | {source} | {most} | {experts} | {swapped} |\n"

    def section(self) -> str:
        """The stages of the plan; empty where nothing fits, and for a size that was not compiled."""
        if self._plan is None or not self.is_compiled:
            return ""
        return (
            f"### {self._name}, {self._size}, {self._gpu}\n\n"
            f"Most: {self._plan.peak_bytes / 1e9:.2f} GB of {self._budget_bytes / 1e9:.2f} GB.\n\n"
            "| stage | weights | scratch | buffers | all | waits for | loads meanwhile |\n"
            "| --- | --- | --- | --- | --- | --- | --- |\n"
            f"{''.join(_row(stage) for stage in self._plan.stages)}\n"
        )


def _experts(plan: MemoryPlan) -> str:
    """The number of experts in memory at once, as text; empty for a model with one transformer."""
    if not any(stage.expert is Expert.LOW_NOISE for stage in plan.stages):
        return ""
    experts = {"transformer_high", "transformer_low"}
    return "both" if any(experts <= set(stage.resident) for stage in plan.stages) else "one"


def _row(memory: StageMemory) -> str:
    expert = f", {memory.expert.value.replace('_', ' ')}" if memory.expert not in {None, Expert.SINGLE} else ""
    sums = (memory.weight_bytes, memory.scratch_bytes, memory.buffer_bytes, memory.peak_bytes)
    cells = [
        memory.stage.value.replace("_", " ") + expert,
        *(f"{byte_count / 1e9:.2f}" for byte_count in sums),
        ", ".join(memory.loaded),
        ", ".join(memory.prefetched),
    ]
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    main()
