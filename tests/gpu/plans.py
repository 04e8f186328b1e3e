"""Adds TensorRT engines for this machine's GPU to a bundle, compiled by ``export.tensorrt``."""

from __future__ import annotations

import shutil
from pathlib import Path

from engine.bundle.folder import MANIFEST_NAME, file_sha256, parse_manifest
from engine.bundle.manifest import FileSpec
from engine.runtime.gpu import Gpu
from export.tensorrt import Target, compile_engines
from tests.gpu.report import Report
from tests.gpu.roads import COMPILER


def with_plans(source: Path, folder: Path, card: Gpu, report: Report) -> Path:
    """Returns a copy of a bundle in which every graph has a plan for the GPU."""
    shutil.copytree(source, folder)
    manifest = parse_manifest(folder)
    target = Target("this-card", card.compute_capability, card.memory_bytes)
    graphs, files = [], dict(manifest.files)
    for graph in manifest.graphs:
        (engine,) = compile_engines(folder / graph.file, [target], folder / "plans", module_name=COMPILER, report=print)
        plan = folder / engine.file
        files[engine.file] = FileSpec(sha256=file_sha256(plan), byte_count=plan.stat().st_size)
        graphs.append(graph.with_changes(engines=(engine,)))
        report.add("stages", f"{folder.name}/{graph.file}", precision=graph.precision, **engine.as_dict())
    changed = manifest.with_changes(graphs=tuple(graphs), files=files)
    (folder / MANIFEST_NAME).write_text(changed.to_json(indent=1), encoding="utf-8")
    return folder
