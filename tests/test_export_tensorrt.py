"""Plans compiled for both GPUs on a machine without one: they are valid, and the manifest describes them truly.

``test_export_precisions`` compiles every stage in every precision; this file one of each kind and the scorer, in fp32.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from engine.bundle.folder import parse_manifest
from engine.bundle.graph_spec import GraphName, GraphSpec
from export.tensorrt import TARGETS, compile_engines

_A14B: tuple[GraphName, ...] = ("transformer_high", "vae_decoder_step", "guide_and_step")
_A14B_LONGER: tuple[GraphName, ...] = ("scorer_image", "scorer_text")
_5B: tuple[GraphName, ...] = ("transformer", "vae_encoder_init")
_MAGIC = b"vtrt"


@pytest.mark.parametrize("stage", [*_A14B, *(pytest.param(stage, marks=pytest.mark.walk) for stage in _A14B_LONGER)])
def test_a14b(tiny_bundle: Path, tmp_path: Path, stage: GraphName) -> None:
    _compiles(_linked(tiny_bundle, tmp_path), stage)


@pytest.mark.walk
@pytest.mark.parametrize("stage", _5B)
def test_5b(tiny_5b_bundle: Path, tmp_path: Path, stage: GraphName) -> None:
    _compiles(_linked(tiny_5b_bundle, tmp_path), stage)


def _linked(bundle: Path, folder: Path) -> Path:
    """A bundle of the test's own, because plans lie beside their graphs."""
    return shutil.copytree(bundle, folder / "bundle", copy_function=os.link)


def _compiles(bundle: Path, stage: GraphName) -> None:
    graph = next(graph for graph in parse_manifest(bundle).graphs if graph.stage == stage)
    folder = bundle / f"plans_{stage}"
    lines: list[str] = []
    engines = compile_engines(bundle / graph.file, TARGETS, folder, report=lines.append)
    assert [engine.compute_capability for engine in engines] == ["sm_86", "sm_89"]
    plans = [(bundle / engine.file).read_bytes() for engine in engines]
    assert plans[0] != plans[1]
    for engine, plan in zip(engines, plans, strict=True):
        assert plan.startswith(_MAGIC)
        assert (engine.compiler, engine.plan_bytes) == ("tensorrt_rtx", len(plan))
        assert _weight_bytes(bundle, graph) <= engine.weight_bytes < len(plan)
        assert engine.activation_bytes > 0
        assert engine.build_seconds > 0
        assert 50e6 < engine.host_peak_bytes < 2e9
        name = Path(engine.file).name
        assert f"{name}: compiling" in lines
        assert any(line.startswith(f"{name}: {engine.build_seconds:.1f} s, ") for line in lines)
    # One graph's memory on the card is a matter of the graph: both cards are of one family.
    assert engines[0].weight_bytes == pytest.approx(engines[1].weight_bytes, rel=0.2)
    assert sorted(path.name for path in folder.iterdir()) == sorted(Path(engine.file).name for engine in engines)


def _weight_bytes(bundle: Path, graph: GraphSpec) -> int:
    """What the plan must hold at least: the matrices, which no optimiser can do without."""
    import onnx_ir as ir

    initialisers = ir.load(bundle / graph.file).graph.initializers.values()
    tensors = [value.const_value for value in initialisers if value.const_value is not None]
    return sum(tensor.nbytes for tensor in tensors if len(tensor.shape) == 2 and "weight" in (tensor.name or ""))
