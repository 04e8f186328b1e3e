"""Writes the mp4 files of a clip as their parts arrive: one file, or one for each attempt."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stillcue.cli.arguments import DEFAULT_CRF
from stillcue.cli.frames import Pixels, decode_frame
from stillcue.cli.received_video import open_received
from stillcue.cli.sheet import sheet_indices
from stillcue.events import Accepted, AttemptResult, Frame, Settings, Summary, VideoChunk

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from stillcue.cli.progress import ProgressDisplay
    from stillcue.client import EventStream


@dataclass(frozen=True)
class Received:
    """First and last event of a stream, and its frames for the contact sheet."""

    accepted: Accepted
    summary: Summary
    sheet_frames: dict[int, Pixels]


def receive(stream: EventStream, display: ProgressDisplay, options: argparse.Namespace) -> Received:
    """Writes temporary mp4 files; each is renamed after its attempt, or the stream, ended without error."""
    accepted = next(stream)
    assert isinstance(accepted, Accepted)  # guaranteed by the stream, which checks the order of events
    display.show(accepted)
    wanted = sheet_indices(accepted.settings.frame_count)
    sheet_frames: dict[int, dict[int, Pixels]] = {}
    with ExitStack() as open_files:
        clips = _ClipFiles(open_files, options, accepted.settings)
        for event in stream:
            display.show(event)
            match event:
                case Frame():
                    pixels = decode_frame(event)
                    clips.of(event).add_frame(pixels)
                    if event.index in wanted:
                        sheet_frames.setdefault(_number(event), {})[event.index] = pixels
                case VideoChunk():
                    clips.of(event).add_chunk(event)
                case AttemptResult() if options.all_attempts:
                    open_files.close()
                case Summary():
                    summary = event
    clips.deliver(summary.delivered_attempt)
    return Received(accepted, summary, sheet_frames.get(summary.delivered_attempt, {}))


def attempt_path(output: Path, attempt: int) -> Path:
    """The file of an attempt that is kept beside the delivered one: CLIP-1.mp4 for CLIP.mp4."""
    return output.with_name(f"{output.stem}-{attempt}{output.suffix}")


def _number(event: Frame | VideoChunk) -> int:
    return event.attempt or 1  # older servers send none


@dataclass(frozen=True)
class _OpenClip:
    """An open mp4 file: what is done with each frame, and with each chunk of the server's file."""

    add_frame: Callable[[Pixels], None]
    add_chunk: Callable[[VideoChunk], None]


class _ClipFiles:
    """The file of the attempt that arrives. The first is opened at once, so that a wrong folder wastes no clip."""

    def __init__(self, open_files: ExitStack, options: argparse.Namespace, settings: Settings) -> None:
        self._open_files = open_files
        self._options = options
        self._settings = settings
        self._open(1)

    def of(self, event: Frame | VideoChunk) -> _OpenClip:
        """The open file that an event belongs to. Without ``--all-attempts`` one attempt alone sends frames."""
        if self._options.all_attempts and _number(event) != self._attempt:
            self._open(_number(event))
        return self._clip

    def deliver(self, attempt: int) -> None:
        """Gives the finished file of this attempt the name that was asked for."""
        if self._options.all_attempts:
            self._path(attempt).replace(self._options.output)

    def _open(self, attempt: int) -> None:
        self._attempt = attempt
        self._clip = self._open_files.enter_context(_open_clip(self._path(attempt), self._options, self._settings))

    def _path(self, attempt: int) -> Path:
        output: Path = self._options.output
        return attempt_path(output, attempt) if self._options.all_attempts else output


@contextmanager
def _open_clip(path: Path, options: argparse.Namespace, settings: Settings) -> Iterator[_OpenClip]:
    """Opens an mp4 file; only a file that is encoded here needs PyAV."""
    if options.encoder.is_server:
        with open_received(path) as add_chunk:
            yield _OpenClip(lambda _: None, add_chunk)
        return
    from stillcue.cli.video import open_mp4

    crf = DEFAULT_CRF if options.crf is None else options.crf
    with open_mp4(
        path,
        width_px=settings.width_px,
        height_px=settings.height_px,
        frame_rate=settings.frame_rate,
        crf=None if options.lossless else crf,
    ) as clip:
        yield _OpenClip(clip.add, lambda _: None)
