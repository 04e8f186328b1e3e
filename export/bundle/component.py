"""One component in one precision: its weights, then its graphs. Knows the steps; knows no particular model.

A step that an interrupted export finished is not done again, and what one expert's structure was traced to serves the
other one, which has the same. The component is loaded only where graphs are run beside
torch, and only once for all of them.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch

from engine.bundle.graph_spec import GraphName, GraphSpec
from engine.bundle.manifest import AdapterSpec
from export.bundle.build_log import Journal
from export.bundle.component_weights import Stock, StockPlan, plan_stock
from export.bundle.graph_list import ComponentStages, StageGroup
from export.bundle.manifest_entries import graph_spec
from export.bundle.plan import ExportPlan
from export.bundle.resource_estimate import ComponentNeed
from export.quantise.calibration import Calibration, calibration_digest, load_calibration
from export.quantise.recipes import recipe_for
from export.quantise.rewrite import quantise_graph
from export.tracing.assemble import TracedModule, build_graph, save_graph, tensor_specs
from export.tracing.trace import Trace
from export.tracing.verify import NotRunnable, Verified, is_small, verify_against_torch
from export.weights.checkpoint import Checkpoint, files_identity
from export.weights.lora import Adapter
from export.weights.parameters import ComponentWeights, load_weights

# By structure and size, then by pattern.
Traces = dict[tuple[str, str], dict[str, Trace]]


class ComponentExport:
    """Exports the stages of a component. ``report`` is told what happens, a line at a time.

    ``traces`` are those of the export so far.
    """

    def __init__(
        self,
        plan: ExportPlan,
        stages: ComponentStages,
        journal: Journal,
        report: Callable[[str], None],
        traces: Traces,
    ) -> None:
        self._plan, self._stages, self._traces = plan, stages, traces
        self._journal, self._report = journal, report
        self._precision = plan.precision_of(stages.name)
        self._recipe = None if self._precision == "fp32" else recipe_for(stages.kind, self._precision)
        self._suffix = "" if self._precision == "fp32" else f".{self._precision}"

    @property
    def weight_files(self) -> tuple[Path, ...]:
        """The files that the graphs point into."""
        return self._stock.files

    @property
    def need(self) -> ComponentNeed:
        """What it takes of disk and memory."""
        graph_count = sum(len(group.names) for group in self._stages.groups)
        planned = self._planned
        return ComponentNeed(
            self._stages.name, self._precision, graph_count, planned.byte_count, planned.written_byte_count
        )

    def graphs(self) -> Iterator[GraphSpec]:
        """Writes weights and graphs, and says of each graph what the manifest has to say."""
        for group in self._stages.groups:
            name = " ".join(group.file_names(self._suffix))
            inputs = {**self._identity, "place": str(group.place), "weights": self._weights_digest}
            answer = self._journal.step(name, inputs, functools.partial(self._export_group, group))
            for described in answer["graphs"]:
                spec = GraphSpec.model_validate(described)
                self._report(_summary(spec))
                yield spec

    @functools.cached_property
    def adapters(self) -> tuple[Adapter, ...]:
        """LoRAs that are fused into it."""
        choice = self._plan.adapters.get(self._stages.name)
        if choice is None:
            return ()
        shapes = {name: tuple(parameter.shape) for name, parameter in self._model.named_parameters()}
        return (Adapter.open(choice.file, shapes, component=self._stages.name, strength=choice.strength),)

    @property
    def adapter_specs(self) -> list[AdapterSpec]:
        """The same for the manifest."""
        stage = self._stages.groups[0].names[0]
        return [
            AdapterSpec(stage=stage, file_name=adapter.file.name, sha256=adapter.sha256, strength=adapter.strength)
            for adapter in self.adapters
        ]

    @functools.cached_property
    def _identity(self) -> dict[str, Any]:
        return {
            "component": self._plan.checkpoint.identity(self._stages.name),
            "precision": self._precision,
            "adapters": [(adapter.sha256, adapter.strength) for adapter in self.adapters],
            "calibration": None if self._ranges is None else files_identity(self._ranges),
        }

    @functools.cached_property
    def _model(self) -> Any:
        """The component without weights, in the type that the graphs compute in."""
        return self._stages.build(torch.float32 if self._recipe is None else self._recipe.dtype)

    @functools.cached_property
    def _loaded(self) -> Any:
        """The component with weights, in float32, that graphs are compared with."""
        model = self._stages.build(torch.float32)
        load_weights(model, self._planned.source, torch.float32)
        return model

    @functools.cached_property
    def _planned(self) -> StockPlan:
        checkpoint, name = self._plan.checkpoint, self._stages.name
        checkpoint.shards(name)  # files that are not there are told before a configuration that is not
        return plan_stock(
            checkpoint.folder / name,
            name,
            self._model,
            self._plan.out,
            adapters=self.adapters,
            recipe=self._recipe,
            calibration=self._calibration,
        )

    @property
    def _ranges(self) -> Path | None:
        """The folder of the calibration, which is of transformers alone."""
        return self._plan.calibration if self._stages.kind == "transformer" else None

    @functools.cached_property
    def _calibration(self) -> Calibration | None:
        folder = self._ranges
        if folder is None:
            return None
        fused = [(adapter.sha256, adapter.strength) for adapter in self.adapters]
        digest = calibration_digest(checkpoint_digest(self._plan.checkpoint, self._journal), fused)
        return load_calibration(folder, self._stages.name, digest)

    @property
    def _weights_digest(self) -> str | None:
        """Of the file that was written; what lies in place is told apart by its identity, without reading it."""
        stock = self._stock
        if self._planned.encodings is None:
            return None
        return self._journal.file(stock.files[0].relative_to(self._plan.out).as_posix()).sha256

    @functools.cached_property
    def _stock(self) -> Stock:
        planned = self._planned

        def work() -> tuple[dict[str, Any], Iterable[Path]]:
            planned.write(self._report)
            return {}, () if planned.encodings is None else (planned.file,)

        inputs = {**self._identity, "is_in_place": planned.encodings is None}
        self._journal.step(f"weights of {self._stages.name}{self._suffix}", inputs, work)
        return planned.open()

    def _export_group(self, group: StageGroup) -> tuple[dict[str, Any], list[Path]]:
        files = [self._plan.out / name for name in group.file_names(self._suffix)]
        weights = ComponentWeights(self._model, self._stock.stored)
        empty = group.trace(self._model)
        specs = []
        for stage, file, traced in zip(group.names, files, empty, strict=True):
            known = self._traces.setdefault((self._structure(stage), str(group.place)), {})
            model = build_graph(traced, weights, self._plan.out, known)
            if self._stock.quantised:
                quantise_graph(model, self._stock.quantised, self._plan.out)
            save_graph(model, file)
            unverified = Verified(tensor_specs(model.graph.inputs), tensor_specs(model.graph.outputs), None, None)
            specs.append(graph_spec(stage, group.place, file, self._precision, unverified))
        if self._is_verified(empty):
            specs = self._verified(specs, files, group.trace(self._loaded))
        return {"graphs": [spec.model_dump(mode="json") for spec in specs]}, files

    def _structure(self, stage: GraphName) -> str:
        """What a trace depends on beside the size: both experts have one configuration and one precision."""
        if self._stages.kind != "transformer":
            return stage
        config = {name: value for name, value in self._model.config.items() if not name.startswith("_")}
        return json.dumps([self._precision, config], sort_keys=True, default=str)

    def _is_verified(self, traced: Iterable[TracedModule]) -> bool:
        if self._plan.verify == "auto":
            return all(is_small(item) for item in traced)
        return self._plan.verify == "always"

    def _verified(self, specs: list[GraphSpec], files: list[Path], loaded: Iterable[TracedModule]) -> list[GraphSpec]:
        found = []
        for spec, file, traced in zip(specs, files, loaded, strict=True):
            try:
                verified = verify_against_torch(file, traced, self._precision)
            except NotRunnable as error:
                self._report(f"{file.name}: {error}")
                found.append(spec)
                continue
            measured = {"max_abs_error": verified.max_abs_error, "max_abs_value": verified.max_abs_value}
            found.append(spec.model_copy(update=measured))
        return found


def checkpoint_digest(checkpoint: Checkpoint, journal: Journal) -> str:
    """The digest of all of the checkpoint's files, worked out once an export."""
    inputs = {"files": checkpoint.identity()}
    return str(journal.step("checkpoint digest", inputs, lambda: ({"sha256": checkpoint.digest()}, ()))["sha256"])


def _summary(spec: GraphSpec) -> str:
    if spec.max_abs_error is None:
        return f"{spec.file}: written, not compared with torch"
    return f"{spec.file}: differs from torch by {spec.max_abs_error:.1e}"
