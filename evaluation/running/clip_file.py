"""The file of clips of a run, open for appending. One run at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from evaluation.errors import EvaluationError
from evaluation.record import CLIPS_NAME, ClipRecord, read_records


class ClipFile:
    """``kept`` holds the clips of earlier runs and those of this one."""

    def __init__(self, stream: BinaryIO, kept: list[ClipRecord]) -> None:
        self._stream = stream
        self.kept = kept

    def append(self, record: ClipRecord) -> None:
        """Keeps a clip: it is on the disk when this returns."""
        self._stream.write((record.model_dump_json() + "\n").encode())
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self.kept.append(record)


@contextmanager
def open_clips(folder: Path) -> Iterator[ClipFile]:
    """Opens the clips of a run; a torn last line is cut off. Raises ``EvaluationError`` where another run writes."""
    with (folder / CLIPS_NAME).open("a+b") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise EvaluationError(f"another run writes into {folder}; wait for it, or name another folder") from error
        kept = read_records(folder)
        stream.seek(0)
        stream.truncate(stream.read().rfind(b"\n") + 1)
        yield ClipFile(stream, kept)
