"""Keeps TensorRT's kernels for this GPU on disk for the next start.

TensorRT for RTX compiles its kernels when a plan is first used, which takes seconds per graph. The library itself
checks the cache against version, GPU and driver, so a wrong or damaged cache costs time, never results.
"""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from typing import Any

_log = logging.getLogger(__name__)


def default_cache_folder() -> Path | None:
    """The user's cache folder by the XDG base directory specification; None for a user without a home."""
    home = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(home) if home else Path.home() / ".cache") / "stillcue"
    except RuntimeError:  # no HOME, and no entry of the user
        return None


class KernelCache:
    """One cache for all plans of a process, created with the first plan that is given to ``attach``.

    ``file`` None: the kernels are not kept for the next start.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._cache: Any = None
        self._kept = b""

    def attach(self, config: Any) -> None:
        """Makes a plan's runtime configuration use the cache."""
        if self._cache is None:
            self._cache = config.create_runtime_cache()
            self._kept = self._read()
            if self._kept and not self._cache.deserialize(self._kept):
                _log.info("kernel cache %s is for another GPU, driver or version; it is rebuilt", self._file)
        config.set_runtime_cache(self._cache)

    def save(self) -> None:
        """Writes the cache if it changed. A folder that cannot be written only slows the next start."""
        if self._cache is None or self._file is None:
            return
        content = bytes(self._cache.serialize())
        if content == self._kept:
            return
        partial = self._file.with_name(f"{self._file.name}.{os.getpid()}.partial")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(content)
            partial.replace(self._file)
        except OSError as error:
            _log.info("kernel cache %s cannot be written: %s", self._file, error.strerror)
            with contextlib.suppress(OSError):
                partial.unlink()
        else:
            self._kept = content

    def _read(self) -> bytes:
        try:
            return b"" if self._file is None else self._file.read_bytes()
        except OSError:
            return b""
