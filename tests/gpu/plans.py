"""Bundles with plans for the card of this machine. Knows manifests; the compiling is ``export.tensorrt``'s affair."""

from __future__ import annotations

import shutil
from pathlib import Path

from engine.bundle import MANIFEST_NAME, FileSpec, file_sha256, parse_manifest
from engine.runtime.gpu import Card
from export.tensorrt import Target, compile_engines
from tests.gpu.report import Report

COMPILER = "tensorrt_rtx"


def with_plans(source: Path, folder: Path, card: Card, report: Report) -> Path:
    """A copy of a bundle in which every graph has a plan for the card."""
    shutil.copytree(source, folder)
    manifest = parse_manifest(folder)
    target = Target("this-card", card.compute_capability, card.memory_bytes)
    graphs, files = [], dict(manifest.files)
    for graph in manifest.graphs:
        (engine,) = compile_engines(folder / graph.file, [target], folder / "plans", module_name=COMPILER, report=print)
        plan = folder / engine.file
        files[engine.file] = FileSpec(sha256=file_sha256(plan), byte_count=plan.stat().st_size)
        graphs.append(graph.model_copy(update={"engines": (engine,)}))
        report.add("stages", f"{folder.name}/{graph.file}", precision=graph.precision, **engine.model_dump())
    changed = manifest.model_copy(update={"graphs": tuple(graphs), "files": files})
    (folder / MANIFEST_NAME).write_text(changed.model_dump_json(indent=1), encoding="utf-8")
    return folder
