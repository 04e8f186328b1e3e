"""Bundles that do not fit the machine are refused by their manifest: no other file is read, none need be there."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import open_engine
from engine.api.errors import BundleInvalid, DoesNotFit
from engine.api.settings import EngineSettings
from engine.bundle.folder import MANIFEST_NAME, parse_manifest, read_manifest
from engine.bundle.graph_spec import GraphSpec, Precision
from engine.bundle.manifest import Manifest
from engine.generate.onnx_graphs import can_only_run_on_a_gpu
from export.errors import ExportError
from export.strip import main, strip
from tests.fake_cuda import FakeCuda, cudaError_t
from tests.large_bundles import POCKET
from tests.planned_bundles import COMPILER, add_plans
from tests.server_processes import FREE_PORTS, start_process
from tests.serving import PATIENCE_SECONDS

_NO_GPU = "no NVIDIA GPU can be used: no GPU; see `nvidia-smi`, in a container give --gpus all; on the CPU: "
_IN_BFLOAT16 = (
    "text_encoder.onnx (int8) computes in bfloat16, for which ONNX Runtime has no kernels on a CPU; serve the bundle "
    "on a GPU that it was compiled for, or export the checkpoint with --precision fp16 or fp32"
)
_PLANS_ALONE = (
    "the bundle holds TensorRT engines for sm_86 alone, without the graphs that ONNX Runtime runs; serve it on such a "
    "GPU, or export the checkpoint without --plans-only"
)


@pytest.fixture
def planned(tmp_path: Path) -> Path:
    """Pocket's bundle with a plan for each graph."""
    folder = shutil.copytree(POCKET, tmp_path / "bundle")
    add_plans(folder)
    return folder


def manifest_alone(bundle: Path, folder: Path, change: Callable[[Manifest], Manifest] = lambda same: same) -> Path:
    """A folder with the manifest of a bundle and none of its files."""
    folder.mkdir()
    (folder / MANIFEST_NAME).write_text(change(parse_manifest(bundle)).to_json())
    return folder


def in_eight_bits(manifest: Manifest) -> Manifest:
    """As ``--precision int4`` exports it: the text encoder in eight bits, which computes in bfloat16."""

    def changed(graph: GraphSpec) -> GraphSpec:
        return graph.with_changes(precision="int8" if graph.stage == "text_encoder" else "int4")

    return manifest.with_changes(graphs=tuple(map(changed, manifest.graphs)))


def fault(bundle: Path, **settings: object) -> str:
    with pytest.raises(BundleInvalid) as refused:
        open_engine(bundle, EngineSettings(1, **settings))  # type: ignore[arg-type]
    return str(refused.value)


def test_graphs_without_kernels_on_a_cpu(fake_gpu: FakeCuda, planned: Path, tmp_path: Path) -> None:
    bundle = manifest_alone(planned, tmp_path / "empty", in_eight_bits)
    fake_gpu.present = cudaError_t.cudaErrorNoDevice
    assert fault(bundle) == _NO_GPU + _IN_BFLOAT16
    assert fault(bundle, runtime="onnxruntime") == _IN_BFLOAT16


@pytest.mark.parametrize(
    ("precision", "refused"),
    [("fp32", False), ("fp16", False), ("bf16", True), ("int8", False), ("fp8", False), ("int4", False)],
)
def test_transformers_in_bfloat16_alone_need_a_gpu(precision: Precision, refused: bool) -> None:
    transformers = [graph for graph in parse_manifest(POCKET).graphs if graph.stage.startswith("transformer")]
    assert len(transformers) == 2
    for graph in transformers:
        assert can_only_run_on_a_gpu(graph.with_changes(precision=precision)) is refused


def test_a_bundle_that_does_not_fit_the_memory(tmp_path: Path) -> None:
    bundle = manifest_alone(POCKET, tmp_path / "empty")
    with pytest.raises(DoesNotFit, match="does not fit"):
        open_engine(bundle, EngineSettings(1, memory_budget_bytes=2**20))


def test_a_missing_file_is_told_before_any_is_read(tmp_path: Path) -> None:
    """The largest file is damaged, and the smallest missing."""
    bundle = shutil.copytree(POCKET, tmp_path / "bundle")
    sizes = {name: spec.byte_count for name, spec in parse_manifest(bundle).files.items()}
    largest, smallest = max(sizes, key=sizes.__getitem__), min(sizes, key=sizes.__getitem__)
    (bundle / largest).write_bytes(bytes(sizes[largest]))
    (bundle / smallest).unlink()
    assert fault(bundle) == f"{bundle / smallest} is missing; copy the bundle again, whole"


async def test_the_server_names_the_reason_and_ends_with_2(planned: Path, tmp_path: Path) -> None:
    bundle = manifest_alone(planned, tmp_path / "empty", in_eight_bits)
    process = await start_process("-m", "server", "--bundle", str(bundle), *FREE_PORTS, CUDA_VISIBLE_DEVICES="")
    _, said = await asyncio.wait_for(process.communicate(), PATIENCE_SECONDS)
    assert process.returncode == 2
    line = said.decode().splitlines()[-1]
    assert line.startswith("stillcue: no NVIDIA")
    assert line.endswith(f"; on the CPU: {_IN_BFLOAT16}")


def test_plans_alone_are_served_on_their_gpu_and_refused_on_a_cpu(
    fake_gpu: FakeCuda, planned: Path, tmp_path: Path
) -> None:
    before = {file: file.stat().st_mtime_ns for file in sorted(planned.rglob("*"))}
    all_bytes, plan_bytes = strip(planned, tmp_path / "plans")
    manifest = parse_manifest(tmp_path / "plans")
    assert manifest.plans_only
    found = {file.relative_to(tmp_path / "plans").as_posix() for file in (tmp_path / "plans").rglob("*.*")}
    assert found == {*manifest.files, MANIFEST_NAME}
    assert not any(name.endswith((".onnx", ".safetensors")) for name in found)
    assert plan_bytes == sum(spec.byte_count for spec in manifest.files.values())
    assert all_bytes == sum(spec.byte_count for spec in parse_manifest(planned).files.values())
    assert before == {file: file.stat().st_mtime_ns for file in sorted(planned.rglob("*"))}

    engine = open_engine(tmp_path / "plans", EngineSettings(1, kernel_cache_folder=tmp_path))
    assert engine.capabilities().runtime.startswith(COMPILER)
    engine.close()
    fake_gpu.present = cudaError_t.cudaErrorNoDevice
    assert fault(tmp_path / "plans") == _NO_GPU + _PLANS_ALONE
    assert fault(tmp_path / "plans", runtime="onnxruntime") == _PLANS_ALONE


def test_a_graph_without_plans_needs_its_file_all_the_same(planned: Path, tmp_path: Path) -> None:
    def change(manifest: Manifest) -> Manifest:
        first = manifest.graphs[0]
        files = {name: spec for name, spec in manifest.files.items() if name != first.file}
        graphs = (first.with_changes(engines=()), *manifest.graphs[1:])
        return manifest.with_changes(plans_only=True, graphs=graphs, files=files)

    bundle = manifest_alone(planned, tmp_path / "empty", change)
    with pytest.raises(BundleInvalid) as refused:
        read_manifest(bundle)
    named = f"{bundle / MANIFEST_NAME} names {parse_manifest(planned).graphs[0].file} but not its digest"
    assert str(refused.value) == f"{named}; export the checkpoint again"


def test_files_are_copied_where_they_cannot_be_linked(
    planned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", link)
    strip(planned, tmp_path / "plans")
    for name in parse_manifest(tmp_path / "plans").files:
        assert (tmp_path / "plans" / name).read_bytes() == (planned / name).read_bytes()
        assert (tmp_path / "plans" / name).stat().st_ino != (planned / name).stat().st_ino


def test_what_cannot_be_cut_down(planned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "plans"
    with pytest.raises(ExportError, match="was compiled for no GPU, so it is needed; export the checkpoint with --gpu"):
        strip(POCKET, out)
    with pytest.raises(ExportError, match=r"--out .*: exists; give a new folder"):
        strip(planned, tmp_path)
    plan = next(planned.glob("*.plan"))
    content = plan.read_bytes()
    plan.write_bytes(content[:-1])
    assert main([str(planned), "--out", str(out)]) == 1
    assert (
        capsys.readouterr().err == f"export.strip: {plan}: is missing or not whole; copy or export the bundle again\n"
    )
    plan.write_bytes(content)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("plans")]  # nothing half-written
    assert main([str(planned), "--out", str(out)]) == 0
    assert capsys.readouterr().out.startswith(f"{out}: ")
    with pytest.raises(ExportError, match="holds plans alone already"):
        strip(out, tmp_path / "again")
    assert main([str(tmp_path / "absent"), "--out", str(tmp_path / "again")]) == 1
    assert "cannot read" in capsys.readouterr().err
