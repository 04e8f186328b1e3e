"""An export of plans alone removes what they were made of, and a resumed one does not make it again."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.api.capabilities import Geometry
from engine.bundle.folder import MANIFEST_NAME, read_manifest
from engine.bundle.graph_spec import GraphSpec
from export.bundle.build_log import BuildLog
from export.bundle.exporter import export_bundle
from export.bundle.option_checks import check_options
from export.bundle.plan import ExportPlan
from export.bundle.plans_only import keep_plans
from export.bundle.resource_estimate import ComponentEstimate, ResourceEstimate
from export.bundle.run import WrittenGraphs
from export.errors import ExportError
from export.tensorrt import TARGETS
from export.weights.layouts.opening import open_checkpoint
from export.weights.serving_defaults import FAMILY_DEFAULTS
from tests.checkpoints import TinyModel, write_checkpoint
from tests.planned_bundles import engine_spec

_GEOMETRY = Geometry(64, 32, 5)


class Component:
    """A component whose only step writes a graph, its weights, and a plan; weights in place belong to a checkpoint."""

    def __init__(self, out: Path) -> None:
        self.out, self.write_count = out, 0
        self.lines: list[str] = []
        (out / "checkpoint").mkdir()
        (out / "checkpoint" / "place.safetensors").write_text("in place")

    def keep(self, **inputs: str) -> tuple[GraphSpec, ...]:
        plan = SimpleNamespace(out=self.out, targets=TARGETS[:1], compiler="any", distilled=None)
        run: Any = SimpleNamespace(plan=plan, log=BuildLog(self.out, {}), report=self.lines.append)
        return keep_plans(run, "vae", inputs, self._write)

    def _write(self) -> WrittenGraphs:
        self.write_count += 1
        for name in ("weights/vae.safetensors", "vae.onnx", "plans/vae.plan"):
            (self.out / name).parent.mkdir(exist_ok=True)
            (self.out / name).write_text(name)
        graph = GraphSpec(
            stage="vae_decoder_init",
            file="vae.onnx",
            inputs=(),
            outputs=(),
            max_abs_error=None,
            max_abs_value=None,
            engines=(engine_spec("plans/vae.plan"),),
        )
        place = self.out / "checkpoint" / "place.safetensors"
        return WrittenGraphs((graph,), (self.out / "weights" / "vae.safetensors",), (place,))

    def files(self) -> list[str]:
        return sorted(file.relative_to(self.out).as_posix() for file in self.out.rglob("*") if file.is_file())


def test_the_plans_stay_and_a_checkpoint_in_place_too(tmp_path: Path) -> None:
    component = Component(tmp_path)
    (graph,) = component.keep()
    assert graph.engines[0].file == "plans/vae.plan"
    assert component.files() == ["checkpoint/place.safetensors", "export.journal.json", "plans/vae.plan"]
    assert not (tmp_path / "weights").exists()
    assert component.lines == ["vae: the plans are kept, graphs and weights are removed"]


def test_a_resumed_export_writes_no_weights_for_plans_that_it_has(tmp_path: Path) -> None:
    component = Component(tmp_path)
    first = component.keep()
    assert component.keep() == first
    assert component.write_count == 1
    (tmp_path / "vae.onnx").write_text("killed before it was removed")
    component.keep()
    assert "vae.onnx" not in component.files()
    (tmp_path / "plans" / "vae.plan").write_text("damaged")
    assert component.keep() == first
    component.keep(calibration="another")
    assert component.write_count == 3


def test_disk_is_needed_for_the_plans_and_one_component_at_a_time() -> None:
    components = tuple(ComponentEstimate(name, "int4", 1, size, size) for name, size in (("a", 7_000), ("b", 5_000)))
    whole, plans = (ResourceEstimate(components, 1, is_plans_only).disk_bytes for is_plans_only in (False, True))
    graph_bytes = (whole - 2 * 12_000) // 2
    assert plans == 12_000 + 7_000 + graph_bytes


def test_plans_of_no_gpu_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"^--plans-only: keeps TensorRT engines alone; name the GPUs .* with --gpu$"):
        check_options(_plan(tmp_path, targets=()))
    assert not (tmp_path / "bundle").exists()


class _Interrupted(Exception):
    pass


@pytest.mark.walk
def test_a_bundle_of_real_plans(tmp_path: Path) -> None:
    plan = _plan(tmp_path, targets=TARGETS[1:])
    lines: list[str] = []

    def interrupt(line: str) -> None:
        lines.append(line)
        if line.startswith("vae.fp16: the plans are kept"):
            raise _Interrupted

    with pytest.raises(_Interrupted):
        export_bundle(plan, interrupt)
    assert not (plan.out / MANIFEST_NAME).exists()
    first, lines = lines, []
    assert [line for line in first if line.endswith(".plan: compiling")]
    manifest = export_bundle(plan, lines.append)
    again = [line for line in lines if "text_encoder" in line or "vae" in line]
    assert not [line for line in again if "compiling" in line or "traced" in line]
    assert read_manifest(plan.out) == (manifest, read_manifest(plan.out)[1])
    assert manifest.plans_only
    found = {file.relative_to(plan.out).as_posix() for file in plan.out.rglob("*") if file.is_file()}
    assert found == {*manifest.files, MANIFEST_NAME}
    assert set(manifest.files) == {"tokenizer.json", *(graph.engines[0].file for graph in manifest.graphs)}


def _plan(folder: Path, targets: Any) -> ExportPlan:
    model = TinyModel(is_5b=True, head_count=2, head_size=32, ffn_size=128, layer_count=1, text_size=32)
    checkpoint = open_checkpoint(write_checkpoint(folder / "checkpoint", model))
    return ExportPlan(
        checkpoint=checkpoint,
        out=folder / "bundle",
        geometries=(_GEOMETRY,),
        defaults=FAMILY_DEFAULTS[checkpoint.family],
        name="tiny",
        precision="int4",
        targets=targets,
        is_plans_only=True,
    )
