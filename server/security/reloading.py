"""Values read from files, and read again when the files change."""

from __future__ import annotations

import logging
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_logger = logging.getLogger(__name__)
_T = TypeVar("_T")


class FileInvalid(Exception):
    """A file is missing or wrong. The message names the file, the fault and the remedy, and shows no secret."""


class Reloading(Generic[_T]):
    """The value that ``read`` makes of ``paths``. Raises ``FileInvalid`` where the first reading does.

    ``current`` checks the files with one ``stat`` each, through links, so that the folders that Kubernetes swaps are
    noticed. Where a later reading fails, the last good value stays, and the log reports the failure once per change.
    Safe to use from any thread.
    """

    def __init__(self, paths: Sequence[Path], read: Callable[[], _T]) -> None:
        self._paths = tuple(paths)
        self._read = read
        self._lock = Lock()
        self._stamps = self._look()
        self._value = read()

    def current(self) -> _T:
        """The value of the present files, or of the last valid ones."""
        with self._lock:
            stamps = self._look()
            if stamps != self._stamps:
                self._stamps = stamps  # taken before the files are read: a change during that is noticed next time
                self._read_again()
            return self._value

    def _read_again(self) -> None:
        fields = {"files": [str(path) for path in self._paths]}
        try:
            self._value = self._read()
        except FileInvalid as error:
            fault = {**fields, "fault": str(error)}
            _logger.error("changed files are wrong, the last good ones stay", extra={"fields": fault})  # noqa: TRY400
        else:
            _logger.info("changed files read", extra={"fields": fields})

    def _look(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_stamp(path) for path in self._paths)


def read_bytes(path: Path) -> bytes:
    """The bytes of a file. Raises ``FileInvalid``."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileInvalid(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from None


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
