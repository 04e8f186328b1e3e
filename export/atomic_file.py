"""Files that appear under their name complete or not at all."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PARTIAL_SUFFIX = ".partial"


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """Gives a path beside ``file`` to write to. It replaces ``file`` at the end, and is removed after an error."""
    partial = file.with_name(file.name + PARTIAL_SUFFIX)
    try:
        yield partial
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def write_text(file: Path, text: str) -> None:
    """Writes UTF-8 text atomically."""
    with replacing(file) as partial:
        partial.write_text(text, encoding="utf-8")


def remove_partial_files(folder: Path) -> None:
    """Removes files that a killed process was writing into this folder."""
    for file in folder.glob(f"*{PARTIAL_SUFFIX}"):
        file.unlink(missing_ok=True)


def is_disk_full(error: OSError) -> bool:
    """True for a write that failed because the disk, a quota or a limit of file size is reached."""
    return error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
