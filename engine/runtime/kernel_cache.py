"""Keeps TensorRT's kernels for this GPU on disk for the next start.

TensorRT for RTX compiles its kernels when a plan is first used, which takes seconds per graph. The library itself
checks the cache against version, GPU and driver, so a wrong or damaged cache costs time, never results.
"""

from __future__ import annotations

import contextlib
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from engine.runtime.library_log import LibraryLog

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

    def __init__(self, file: Path | None, log: LibraryLog) -> None:
        self._file = file
        self._log = log
        self._cache: Any = None
        self._kept = b""
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="kernels")
        self._newest = b""
        self._is_fault_told = False

    def attach(self, config: Any) -> None:
        """Makes a plan's runtime configuration use the cache. The thread needs a current GPU."""
        if self._cache is None:
            self._cache = config.create_runtime_cache()
            self._kept = self._read()
            if self._kept:
                self._fill()
        config.set_runtime_cache(self._cache)

    def save(self) -> None:
        """Has the cache written, if it changed, on a thread of its own. No plan may be called meanwhile.

        A folder that cannot be written only slows the next start.
        """
        if self._cache is None or self._file is None:
            return
        self._newest = bytes(self._cache.serialize())
        self._writer.submit(self._write)

    def wait(self) -> None:
        """Waits until what was saved is written."""
        self._writer.submit(lambda: None).result()

    def _fill(self) -> None:
        with self._log.call() as logged:
            if self._cache.deserialize(self._kept):
                return
        reason = "; ".join(logged.lines) or "it is for another GPU, driver or version, or damaged"
        _log.warning(
            "the compiled kernels in %s are not used: %s; they are compiled and written again, which makes this start "
            "slower; if that happens at every start, give each kind of GPU a cache folder of its own",
            self._file,
            reason,
        )

    def _write(self) -> None:
        content, file = self._newest, self._file
        if file is None or content == self._kept:
            return
        partial = file.with_name(f"{file.name}.{os.getpid()}.partial")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(content)
            partial.replace(file)
        except OSError as error:
            if not self._is_fault_told:
                _log.info("kernel cache %s cannot be written: %s", file, error.strerror)
            self._is_fault_told = True
            with contextlib.suppress(OSError):
                partial.unlink()
        else:
            self._kept = content

    def _read(self) -> bytes:
        try:
            return b"" if self._file is None else self._file.read_bytes()
        except OSError:
            return b""
