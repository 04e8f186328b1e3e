"""Bar, preview and text of a node while a clip is generated."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, UnidentifiedImageError

from stillcue import (
    Accepted,
    AttemptResult,
    DenoiseProgress,
    Estimate,
    Event,
    QueueUpdate,
    StageStarted,
    Summary,
)
from stillcue.segment_text import PartNames
from stillcue.step_text import StepTally
from stillcue.success_text import describe_attempt

from . import host
from .pictures import Pixels
from .progress_text import accepted_lines, end_line, frame_line, stage_line, step_line, waiting_line

# The longest side of a preview: smaller ones, such as latents have, are scaled up to be seen, larger ones down.
PREVIEW_SIDES_PX = 256, 512
CANCELLED = "cancelled: the server's job has ended"


class ClipProgress:
    """The bar counts the steps, anew in each attempt, and the frames, through all segments of a chain.

    Every method raises ComfyUI's interrupt after Cancel.
    """

    def __init__(self, node_id: str) -> None:
        self._node_id = node_id
        self._bar: host.ProgressBar | None = None
        self._estimate = Estimate()
        self._total = 0
        self._frame_count = 0
        self._done_step_count = 0
        self._done_frame_count = 0
        self._parts = PartNames()
        self._steps = StepTally()
        self._say("waiting for the server")

    def show(self, event: Event) -> None:
        """Shows an event. Frames go to ``show_frames``."""
        match event:
            case Accepted():
                self._estimate = event.estimate
                self._parts = PartNames(event)
                self._frame_count = event.settings.frame_count
                self._total = self._parts.segment_count * event.settings.step_count + self._frame_count
                self._bar = host.progress_bar(self._total)
                self._say(*accepted_lines(event))
            case QueueUpdate():
                self._say(waiting_line(event))
            case StageStarted():
                self._say(self._parts.prefix(event) + stage_line(event, self._estimate))
            case DenoiseProgress():
                self._steps = self._steps.after(event)
                is_chain = self._parts.segment_count > 1
                self._say(self._parts.prefix(event) + step_line(event, self._steps, self._estimate, is_chain=is_chain))
                earlier = max(event.segment - 1, 0) * event.step_count
                self._done_step_count = earlier + event.completed_step_count
                self._move(None if event.preview is None else _picture(event.preview.data))
            case AttemptResult():
                self._say(describe_attempt(event))
            case Summary():
                self._say(end_line(event))
                self._set(self._total, None)
            case _:
                pass

    def show_frames(self, done: int, pixels: Pixels | None) -> None:
        """Shows how many frames have come, and the last one [height, width, 3]."""
        self._say(frame_line(done, self._frame_count, self._estimate))
        self._done_frame_count = done
        self._move(None if pixels is None else Image.fromarray(pixels))

    @contextmanager
    def tells_cancel(self) -> Iterator[None]:
        """Says in the node that the run was cancelled, if the block ends with ComfyUI's interrupt."""
        try:
            yield
        except host.interrupt():
            host.show_text(CANCELLED, self._node_id)
            raise

    def _move(self, picture: Image.Image | None) -> None:
        self._set(self._done_step_count + self._done_frame_count, picture)

    def _set(self, value: int, picture: Image.Image | None) -> None:
        if self._bar is not None:
            self._bar.update_absolute(value, preview=None if picture is None else ("JPEG", picture, _side(picture)))

    def _say(self, *lines: str) -> None:
        host.raise_if_interrupted()
        host.show_text("\n".join(lines), self._node_id)


def _side(picture: Image.Image) -> int | None:
    """The side in pixels to which a preview is scaled; None if it may stay as it is."""
    smallest, largest = PREVIEW_SIDES_PX
    side = max(picture.size)
    return None if smallest <= side <= largest else min(max(side, smallest), largest)


def _picture(data: bytes) -> Image.Image | None:
    """A preview of the server; None if it is damaged, for the clip does not need it."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            return picture.convert("RGB")
    except (UnidentifiedImageError, OSError):
        return None
