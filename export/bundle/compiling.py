"""Compiles the graphs of a bundle to engines for the plan's targets, one step of the build log for each engine."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.bundle.graph_spec import EngineSpec, GraphSpec
from export.bundle.run import ExportRun
from export.tensorrt import Target, compile_engines, graph_axes

ENGINES_FOLDER = "plans"


def compile_graph(run: ExportRun, graph: GraphSpec, weight_files: Sequence[Path]) -> GraphSpec:
    """The graph's entry with an engine for every target, unchanged without targets. Raises ``ExportError``."""
    plan, log = run.plan, run.log
    if not plan.targets:
        return graph
    read = [graph.file, *(file.relative_to(plan.out).as_posix() for file in weight_files)]
    inputs = {"digests": [log.file(name).sha256 for name in read], "compiler": plan.compiler}
    targets = {target.compute_capability: target for target in plan.targets}
    engines = [
        log.step(f"engine of {graph.file} for {capability}", inputs, functools.partial(_compile, run, graph, target))
        for capability, target in targets.items()
    ]
    return graph.with_changes(engines=tuple(EngineSpec.from_dict(engine) for engine in engines))


def _compile(run: ExportRun, graph: GraphSpec, target: Target) -> tuple[dict[str, Any], list[Path]]:
    plan = run.plan
    (engine,) = compile_engines(
        plan.out / graph.file,
        [target],
        plan.out / ENGINES_FOLDER,
        axes=graph_axes([tensor.name for tensor in graph.inputs]),
        module_name=plan.compiler,
        report=run.report,
    )
    return engine.as_dict(), [plan.out / engine.file]
