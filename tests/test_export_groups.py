"""The number of groups of blocks that a transformer is compiled as, and plans of the groups."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from engine.api.capabilities import Geometry
from engine.bundle.graph_spec import GraphSpec
from export.__main__ import main
from export.bundle import block_groups, resource_estimate
from export.bundle.block_groups import choose_groups
from export.bundle.build_log import BUILD_LOG_NAME, BuildLog
from export.bundle.check import check
from export.bundle.component import PreparedComponent, write_weights
from export.bundle.component_graphs import GraphWriter, trace_graphs, verify_graphs
from export.bundle.group_plans import GroupedGraph, compile_groups
from export.bundle.plan import ExportPlan
from export.bundle.resource_estimate import BlockGroups, ComponentEstimate, ResourceEstimate, build_bytes
from export.bundle.run import ExportRun
from export.errors import ExportError
from export.tensorrt import find_target
from export.weights.layouts.opening import open_checkpoint
from export.weights.serving_defaults import FAMILY_DEFAULTS
from tests.checkpoints import TinyModel, write_checkpoint

# Its transformers are larger than its other components, so that they decide what a build takes.
_WIDE = TinyModel(layer_count=6, head_size=64, ffn_size=512)
_GEOMETRY = Geometry(48, 48, 9)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("wide") / "checkpoint", _WIDE)


def _plan(checkpoint: Path, out: Path) -> ExportPlan:
    opened = open_checkpoint(checkpoint)
    defaults, target = FAMILY_DEFAULTS[opened.family], find_target("rtx4090")
    return ExportPlan(opened, out, (_GEOMETRY,), defaults, "wide", precision="fp16", targets=(target,))


@pytest.fixture
def plan(checkpoint: Path, tmp_path: Path) -> ExportPlan:
    return _plan(checkpoint, tmp_path / "bundle")


@pytest.fixture(scope="module")
def prepared(checkpoint: Path) -> PreparedComponent:
    """The high-noise expert."""
    checked = check(_plan(checkpoint, checkpoint.parent / "bundle"))
    return next(item for item in checked.components if item.component.name == "transformer")


def _have_memory(monkeypatch: pytest.MonkeyPatch, byte_count: int) -> None:
    for module in (block_groups, resource_estimate):
        monkeypatch.setattr(module, "available_memory_bytes", lambda: byte_count)


def _chosen(plan: ExportPlan, prepared: PreparedComponent) -> BlockGroups:
    return choose_groups(plan, prepared, BuildLog(plan.out, {}, is_dry_run=True))


@pytest.mark.parametrize(("share", "count"), [(1.0, 1), (0.6, 2), (0.4, 3), (0.3, 6), (0.1, 8)])
def test_as_few_groups_as_fit(
    plan: ExportPlan, prepared: PreparedComponent, monkeypatch: pytest.MonkeyPatch, share: float, count: int
) -> None:
    """Of six blocks, four or five groups would have two in the largest, as three groups have."""
    _have_memory(monkeypatch, build_bytes(share * prepared.weights.byte_count))
    groups = _chosen(plan, prepared)
    assert groups.count == count
    assert 1 / count <= groups.largest_share <= 1.5 / min(count, 6)
    assert groups.least_count == (count if groups.largest_share <= share else None)


def test_an_export_that_resumes_keeps_its_groups(
    plan: ExportPlan, prepared: PreparedComponent, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan.out.mkdir()
    for share, count in ((0.4, 3), (1.0, 3), (0.3, 6)):  # more memory, then less
        _have_memory(monkeypatch, build_bytes(share * prepared.weights.byte_count))
        assert choose_groups(plan, prepared, BuildLog(plan.out, {})).count == count


def test_nothing_but_compiled_transformers_is_cut(plan: ExportPlan, prepared: PreparedComponent) -> None:
    assert _chosen(replace(plan, targets=()), prepared) == BlockGroups()
    encoder = replace(prepared, component=replace(prepared.component, kind="text_encoder"))
    assert _chosen(replace(plan, block_group_count=3), encoder) == BlockGroups()


def test_the_check_cuts_both_experts_and_says_so(plan: ExportPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    _have_memory(monkeypatch, 10**12)
    lines: list[str] = []
    checked = check(replace(plan, block_group_count=2), report=lines.append)
    counts = {item.component.name: item.block_group_count for item in checked.components}
    assert counts == {"text_encoder": 1, "vae": 1, "transformer": 2, "transformer_2": 2}
    said = [line for line in lines if "groups of blocks" in line]
    assert said == [
        f"{name}: compiled as 2 groups of blocks; one plan would take about 1.51 GB of host memory"
        for name in ("transformer", "transformer_2")
    ]


def test_fewer_groups_than_fit_are_refused_with_a_number_that_does(
    plan: ExportPlan, prepared: PreparedComponent, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusal(plan: ExportPlan) -> str:
        component = ComponentEstimate("transformer", "fp16", 1, 14_500_000_000, 0, _chosen(plan, prepared))
        with pytest.raises(ExportError) as refused:
            ResourceEstimate((component,), 1).refuse_shortage(plan)
        return str(refused.value)

    _have_memory(monkeypatch, build_bytes(0.4 * prepared.weights.byte_count))
    assert refusal(replace(plan, block_group_count=1)) == (
        "--gpu: compiling transformer in fp16 takes about 40.65 GB of memory and 1.50 GB are available; take --groups "
        "3, or leave --groups out"
    )
    assert " in fp16 as 2 groups of blocks takes about " in refusal(replace(plan, block_group_count=2))
    _have_memory(monkeypatch, 10**9)
    nothing_fits = "; take a lower --precision, compile on a machine with more memory, or leave --gpu out"
    assert refusal(replace(plan, block_group_count=2)).endswith(nothing_fits)
    assert refusal(plan).endswith(nothing_fits)
    assert " in fp16 as 8 groups of blocks takes about " in refusal(plan)


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (("--groups", "2"), "--groups 2: says how transformers are compiled, and nothing is compiled without --gpu; "),
        (("--gpu", "rtx4090", "--groups", "9"), "--groups 9: transformer can be cut into 8 groups at most; give fewer"),
    ],
)
def test_groups_that_cannot_be(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], fault: str
) -> None:
    arguments = [str(checkpoint), "--out", str(tmp_path / "bundle"), "--size", "48x48", "--frames", "9", "--dry-run"]
    assert main([*arguments, *options]) == 1
    assert fault in capsys.readouterr().err


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5"])
def test_a_number_of_groups_that_is_none(checkpoint: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    with pytest.raises(SystemExit):
        main([str(checkpoint), "--out", "b", "--size", "48x48", "--frames", "9", "--groups", text])
    assert f"argument --groups: {text!r} is not a number of groups, 1 or more" in capsys.readouterr().err


class _Killed(Exception):
    """Ends an export as a kill would."""


def _compile(plan: ExportPlan, lines: list[str], *, until: str | None = None) -> GraphSpec:
    """Exports the high-noise expert alone; ends before the first line that begins with ``until``."""

    def report(line: str) -> None:
        lines.append(line)
        if until is not None and line.startswith(until):
            raise _Killed

    run = ExportRun(plan, BuildLog(plan.out, {}), report)
    prepared = next(item for item in check(plan, run.log).components if item.component.name == "transformer")
    writer = GraphWriter(prepared, write_weights(run, prepared), {})
    traced = trace_graphs(run, writer)
    (graph,) = verify_graphs(run, prepared, traced)
    return compile_groups(run, GroupedGraph(writer, traced[0], graph))


@pytest.mark.walk
def test_plans_of_groups_resume_after_a_kill_in_the_middle(plan: ExportPlan) -> None:
    grouped = replace(plan, block_group_count=3)
    plan.out.mkdir()
    lines: list[str] = []
    name = "transformer_high_48x48x9.fp16"
    with pytest.raises(_Killed):
        _compile(grouped, lines, until=f"{name}.part2of3.sm_89.plan: compiling")
    assert [file.name for file in (plan.out / "plans").iterdir()] == [f"{name}.part1of3.sm_89.plan"]
    assert not list(plan.out.glob("*.partial"))
    steps = json.loads((plan.out / BUILD_LOG_NAME).read_text())
    assert f"engine of {name}.onnx, group 1 of 3, for sm_89" in steps
    assert f"engine of {name}.onnx, group 2 of 3, for sm_89" not in steps
    first = (plan.out / "plans" / f"{name}.part1of3.sm_89.plan").stat()
    lines.clear()
    graph = _compile(grouped, lines)
    compiled = [line.split(":")[0] for line in lines if line.endswith(": compiling")]
    assert compiled == [f"{name}.part{number}of3.sm_89.plan" for number in (2, 3)]
    assert (plan.out / "plans" / f"{name}.part1of3.sm_89.plan").stat().st_mtime_ns == first.st_mtime_ns
    _check_entry(plan.out, graph, name)
    assert not list(plan.out.glob("*.partial"))


def _check_entry(out: Path, graph: GraphSpec, name: str) -> None:
    (engine,) = graph.engines
    assert engine.files == tuple(f"plans/{name}.part{number}of3.sm_89.plan" for number in (1, 2, 3))
    assert engine.file == engine.files[0]
    sizes = [(out / file).stat().st_size for file in engine.files]
    assert [part.plan_bytes for part in engine.parts] == sizes
    assert engine.plan_bytes == sum(sizes)
    assert engine.weight_bytes == sum(part.weight_bytes for part in engine.parts)
    assert engine.activation_bytes == max(part.activation_bytes for part in engine.parts)
    assert [tensor.name for tensor in engine.parts[0].inputs] == [
        tensor.name for tensor in graph.inputs if tensor.name != "prompt_bias"
    ] + ["prompt_bias"]
    crossing = [{tensor.name for tensor in part.inputs if tensor.name.startswith("hidden")} for part in engine.parts]
    assert [len(names) for names in crossing] == [0, 1, 1]
    assert engine.parts[-1].outputs == graph.outputs
    assert max(graph.max_abs_error or 1.0, 0.0) < 0.03 * max(graph.max_abs_value or 1.0, 1.0)


@pytest.mark.walk
@pytest.mark.parametrize("precision", ["fp32", "int4"])
def test_groups_compute_what_torch_does(plan: ExportPlan, precision: str) -> None:
    """The groups, one after another in ONNX Runtime, within the tolerance of the precision."""
    lines: list[str] = []
    plan.out.mkdir()
    suffix = "" if precision == "fp32" else f".{precision}"
    asked = replace(plan, block_group_count=3, precision=precision)  # type: ignore[arg-type]
    with pytest.raises(_Killed):
        _compile(asked, lines, until=f"transformer_high_48x48x9{suffix}.part1of3.sm_89.plan: compiling")
    (compared,) = [line for line in lines if "its 3 groups: differ from torch by" in line]
    if precision == "fp32":
        assert float(compared.rpartition(" ")[2]) < 2e-3
