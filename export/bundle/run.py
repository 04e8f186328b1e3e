"""An export in progress: the plan, the log of finished steps, and the callback for progress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from export.bundle.build_log import BuildLog
from export.bundle.plan import ExportPlan


@dataclass(frozen=True)
class ExportRun:
    """The arguments that every writing step shares. ``report`` receives progress, a line at a time."""

    plan: ExportPlan
    log: BuildLog
    report: Callable[[str], None]
