"""An export in progress: the plan, the log of finished steps, and the callback for progress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engine.bundle.graph_spec import GraphSpec
from export.bundle.build_log import BuildLog
from export.bundle.plan import ExportPlan


@dataclass(frozen=True)
class ExportRun:
    """The arguments that every writing step shares. ``report`` receives progress, a line at a time."""

    plan: ExportPlan
    log: BuildLog
    report: Callable[[str], None]


@dataclass(frozen=True)
class WrittenGraphs:
    """Graphs in the bundle's folder: ``weight_files`` were written for them, ``files_in_place`` are a checkpoint's."""

    graphs: tuple[GraphSpec, ...]
    weight_files: tuple[Path, ...] = ()
    files_in_place: tuple[Path, ...] = ()

    @property
    def all_weight_files(self) -> tuple[Path, ...]:
        """The files that the graphs read."""
        return (*self.weight_files, *self.files_in_place)
