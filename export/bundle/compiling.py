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
    """The graph's entry with an engine for every target, unchanged without targets or where it has engines.

    Raises ``ExportError``.
    """
    plan, log = run.plan, run.log
    if not plan.targets or graph.engines:
        return graph
    inputs = compile_inputs(run, graph, weight_files)
    targets = {target.compute_capability: target for target in plan.targets}
    engines = [
        log.step(f"engine of {graph.file} for {capability}", inputs, functools.partial(_compile, run, graph, target))
        for capability, target in targets.items()
    ]
    return graph.with_changes(engines=tuple(EngineSpec.from_dict(engine) for engine in engines))


def compile_inputs(run: ExportRun, graph: GraphSpec, weight_files: Sequence[Path]) -> dict[str, Any]:
    """What the engines of a graph depend on, for the build log."""
    read = [graph.file, *(file.relative_to(run.plan.out).as_posix() for file in weight_files)]
    return {"digests": [run.log.file(name).sha256 for name in read], "compiler": run.plan.compiler}


def compile_file(run: ExportRun, file: Path, input_names: Sequence[str], target: Target) -> EngineSpec:
    """Compiles a graph file in the bundle's folder. Raises ``ExportError``."""
    plan = run.plan
    (engine,) = compile_engines(
        file,
        [target],
        plan.out / ENGINES_FOLDER,
        axes=graph_axes(input_names),
        module_name=plan.compiler,
        report=run.report,
    )
    return engine


def _compile(run: ExportRun, graph: GraphSpec, target: Target) -> tuple[dict[str, Any], list[Path]]:
    engine = compile_file(run, run.plan.out / graph.file, [tensor.name for tensor in graph.inputs], target)
    return engine.as_dict(), [run.plan.out / engine.file]
