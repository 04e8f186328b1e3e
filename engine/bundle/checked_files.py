"""Remembers on disk which files of a bundle matched their digests, so that no later start reads them for that again.

A file is recognised by its name in the bundle, size, inode and times. Any write sets the time of change, which no
program can set back, and a copy is another inode. The device is left out: a network file system, or the layers of a
container, have another number after each mount.

There is one small file for each bundle, by the digest of its manifest, which names every digest. It is replaced
atomically, so servers of one machine can share it; what one of two servers wrote may be lost, which costs a check.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import msgspec

_log = logging.getLogger(__name__)
FOLDER_NAME = "checked-bundles"
_MAX_FILE_COUNT = 2_000  # of one bundle, copies of it included
_MAX_BUNDLE_COUNT = 32
# The clock of a file system advances in steps of up to 10 ms: a write within the same step leaves the time as it is.
_CLOCK_STEP_NS = 20_000_000


class FileIdentity(NamedTuple):
    """What tells that a file is the one that was checked. Times are nanoseconds since 1970."""

    byte_count: int
    inode: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, path: Path) -> FileIdentity:
        """The identity of the file that a path leads to, links followed. Raises ``OSError``."""
        found = path.stat()
        return cls(found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns)

    def settle(self) -> bool:
        """Waits until a write would change the identity, at most 20 ms; False if the file's clock is ahead of ours."""
        age_ns = time.time_ns() - self.changed_ns
        if 0 <= age_ns < _CLOCK_STEP_NS:
            time.sleep((_CLOCK_STEP_NS - age_ns) / 1e9)
        return age_ns >= 0


class _Content(msgspec.Struct, forbid_unknown_fields=True):
    """The file of one bundle: names with identities, the newest first."""

    files: list[tuple[str, FileIdentity]]


class CheckedFiles:
    """The files of one bundle that matched. Safe to use from several threads."""

    def __init__(self, cache_folder: Path | None, manifest_digest: str, *, is_forgetful: bool = False) -> None:
        """``cache_folder`` None keeps nothing. If ``is_forgetful``, no file counts as checked before."""
        self._file = None if cache_folder is None else cache_folder / FOLDER_NAME / f"{manifest_digest}.json"
        self._known = frozenset() if is_forgetful else frozenset(_read(self._file))
        self._added: list[tuple[str, FileIdentity]] = []
        self._lock = Lock()

    def holds(self, name: str, identity: FileIdentity) -> bool:
        """True if this file matched its digest in an earlier check."""
        return (name, identity) in self._known

    def add(self, name: str, identity: FileIdentity) -> None:
        """Remembers a file that matched; ``save`` writes it."""
        with self._lock:
            self._added.append((name, identity))

    def save(self) -> None:
        """Writes what was added. A folder that cannot be written costs the next start a check."""
        with self._lock:
            if self._file is None or not self._added:
                return
            newest = list(dict.fromkeys((*reversed(self._added), *_read(self._file))))[:_MAX_FILE_COUNT]
            try:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                _replace(self._file, msgspec.json.encode(_Content(newest)))
                _remove_oldest(self._file.parent)
                self._added.clear()
            except OSError as error:
                _log.info("%s is not written (%s), so the next start reads all files again", self._file, error.strerror)
                self._file = None  # said once


def _read(file: Path | None) -> list[tuple[str, FileIdentity]]:
    """The content of a file; nothing if it is missing or damaged."""
    if file is None:
        return []
    try:
        return msgspec.json.decode(file.read_bytes(), type=_Content).files
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return []


def _replace(file: Path, content: bytes) -> None:
    # A name of its own: servers in containers that share the folder may have the same process id.
    handle, partial = tempfile.mkstemp(prefix=file.stem, suffix=".partial", dir=file.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        Path(partial).replace(file)
    except OSError:
        with suppress(OSError):
            Path(partial).unlink()
        raise


def _remove_oldest(folder: Path) -> None:
    """Removes the records of bundles that were checked longest ago, and partial files of killed processes with them."""
    dated = []
    for file in folder.iterdir():
        with suppress(OSError):  # another server removed it
            dated.append((file.stat().st_mtime_ns, file))
    for _, file in sorted(dated, reverse=True)[_MAX_BUNDLE_COUNT:]:
        with suppress(OSError):
            file.unlink()
