"""Progress while a clip is generated: a live display in a terminal, otherwise one line for each stage."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from stillcue.cli.preview import PreviewBlocks
from stillcue.cli.report_view import summarise_findings
from stillcue.events import (
    Accepted,
    AttemptResult,
    DenoiseProgress,
    Event,
    Frame,
    MatchReport,
    QueueUpdate,
    Stage,
    StageStarted,
    VideoChunk,
)
from stillcue.report_text import STAGE_LABELS, describe_match, describe_place
from stillcue.segment_text import PartNames, planned_lines
from stillcue.step_text import StepTally
from stillcue.success_text import describe_attempt

if TYPE_CHECKING:
    from collections.abc import Iterator


class ProgressDisplay:
    """Shows events as they arrive. ``live`` is None if the output is no terminal that can be redrawn."""

    def __init__(self, console: Console, live: Live | None) -> None:
        self._console = console
        self._live = live
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[count]}"),
            TimeElapsedColumn(),
            console=console,
        )
        self._task = self._bars.add_task("waiting for the server", total=None, count="")
        self._preview: PreviewBlocks | None = None
        self._total_by_stage: dict[Stage, int] = {}
        self._encoded_frame_count = 0
        self._parts = PartNames()
        self._steps = StepTally()
        self._redraw()

    def show(self, event: Event) -> None:
        """Updates the display for one event."""
        match event:
            case Accepted():
                settings = event.settings
                self._total_by_stage = {Stage.DENOISE: settings.step_count, Stage.DECODE: settings.frame_count}
                self._parts = PartNames(event)
                for line in [*planned_lines(settings), *(f"note: {warning}" for warning in event.warnings)]:
                    self._console.print(line, markup=False, highlight=False, soft_wrap=True)
            case QueueUpdate():
                self._begin(describe_place(event))
            case StageStarted():
                label = STAGE_LABELS.get(event.stage, event.stage.value)
                self._begin(self._parts.prefix(event) + label, self._total_by_stage.get(event.stage))
            case MatchReport() if event.attempt <= 1 or event.segment > 1:  # that of the picture is the same every time
                part = self._parts.prefix(event) if self._parts.segment_count > 1 else ""
                self._console.print(part + describe_match(event), markup=False, highlight=False, soft_wrap=True)
                for finding in summarise_findings(event):
                    self._console.print(finding, soft_wrap=True)
            case DenoiseProgress():
                self._steps = self._steps.after(event)
                pace = f", {event.step_seconds:.2f} s/step{self._steps.describe()}"
                self._advance(event.completed_step_count, event.step_count, pace)
                if event.preview is not None:
                    self._preview = PreviewBlocks(event.preview)
            case Frame():
                self._advance(event.index + 1, self._total_by_stage[Stage.DECODE])
            case VideoChunk():
                self._encoded_frame_count += event.frame_count
                self._advance(self._encoded_frame_count, self._total_by_stage[Stage.DECODE])
            case AttemptResult():
                self._console.print(describe_attempt(event), markup=False, highlight=False, soft_wrap=True)
                self._encoded_frame_count = 0
        self._redraw()

    def _begin(self, label: str, total: int | None = None) -> None:
        if self._live is None:
            self._console.print(label, markup=False, highlight=False)
        self._bars.reset(self._task, description=label, total=total, completed=0, count="")

    def _advance(self, completed: int, total: int, pace: str = "") -> None:
        self._bars.update(self._task, completed=completed, total=total, count=f"{completed}/{total}{pace}")

    def _redraw(self) -> None:
        if self._live is not None:
            self._live.update(Group(self._bars, self._preview) if self._preview else self._bars)


@contextmanager
def progress_display(console: Console) -> Iterator[ProgressDisplay]:
    """Gives a display that is active during the block."""
    if not console.is_terminal:
        yield ProgressDisplay(console, None)
        return
    with Live(console=console, refresh_per_second=10, transient=True) as live:
        yield ProgressDisplay(console, live)
