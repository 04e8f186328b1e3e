"""Graphs of a bundle compiled for the cards that were asked for. Knows the plan and the journal; knows no compiler."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from engine.bundle.graph_spec import EngineSpec, GraphSpec
from export.bundle.build_log import Journal
from export.bundle.plan import ExportPlan
from export.tensorrt import AxisRange, Target, compile_plans, graph_axes

PLANS_FOLDER = "plans"
_ONE_PREDICTION = AxisRange(1, 1, 1)


class Compiling:
    """Compiles one graph after another; what an interrupted export compiled is kept."""

    def __init__(self, plan: ExportPlan, journal: Journal, report: Callable[[str], None]) -> None:
        self._plan, self._journal, self._report = plan, journal, report

    def compiled(self, graph: GraphSpec, weight_files: Sequence[Path] = ()) -> GraphSpec:
        """The graph's entry with a plan for every card; as it is where no card was asked for."""
        plan = self._plan
        if not plan.targets:
            return graph
        read = [graph.file, *(file.relative_to(plan.out).as_posix() for file in weight_files)]
        inputs = {
            "digests": [self._journal.file(name).sha256 for name in read],
            "compiler": plan.compiler,
            "is_distilled": plan.distilled is not None,
        }
        cards = {target.compute_capability: target for target in plan.targets}
        engines = [
            self._journal.step(
                f"plan of {graph.file} for {capability}", inputs, functools.partial(self._compile, graph, target)
            )
            for capability, target in cards.items()
        ]
        return graph.model_copy(update={"engines": tuple(EngineSpec.model_validate(engine) for engine in engines)})

    def _compile(self, graph: GraphSpec, target: Target) -> tuple[dict[str, Any], list[Path]]:
        plan = self._plan
        names = [tensor.name for tensor in graph.inputs]
        # A distilled model runs without guidance: its plans need no room for the other half.
        axes = graph_axes(names) if plan.distilled is None else graph_axes(names, _ONE_PREDICTION)
        (engine,) = compile_plans(
            plan.out / graph.file,
            [target],
            plan.out / PLANS_FOLDER,
            axes=axes,
            module_name=plan.compiler,
            report=self._report,
        )
        return engine.model_dump(mode="json"), [plan.out / engine.file]
