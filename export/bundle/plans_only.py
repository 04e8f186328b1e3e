"""A bundle of compiled plans alone: graphs and weights are removed as soon as the plans made of them are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.bundle.graph_spec import GraphSpec
from export.bundle.component_weights import WEIGHTS_FOLDER
from export.bundle.run import ExportRun, WrittenGraphs


def keep_plans(
    run: ExportRun, name: str, inputs: Mapping[str, Any], write: Callable[[], WrittenGraphs]
) -> tuple[GraphSpec, ...]:
    """The compiled graphs that ``write`` returns. Their files and the weights that the export wrote are removed.

    One step of the build log, so that a resumed export writes no weights again for plans that it has. ``inputs`` are
    what the steps inside depend on.
    """
    plan = run.plan

    def work() -> tuple[dict[str, Any], list[Path]]:
        written = write()
        sources = [graph.file for graph in written.graphs]
        sources += [file.relative_to(plan.out).as_posix() for file in written.weight_files]
        plans = [plan.out / file for graph in written.graphs for engine in graph.engines for file in engine.files]
        return {"graphs": [graph.as_dict() for graph in written.graphs], "sources": sources}, plans

    of_compiler = {
        "targets": [target.compute_capability for target in plan.targets],
        "compiler": plan.compiler,
        "is_distilled": plan.distilled is not None,
    }
    answer = run.log.step(f"plans of {name}", {**inputs, **of_compiler}, work)
    for source in answer["sources"]:
        (plan.out / source).unlink(missing_ok=True)
    with suppress(OSError):  # not there, or the weights of another component are
        (plan.out / WEIGHTS_FOLDER).rmdir()
    run.report(f"{name}: the plans are kept, graphs and weights are removed")
    return tuple(GraphSpec.from_dict(graph) for graph in answer["graphs"])
