"""Binds a process to its parent process."""

from __future__ import annotations

import contextlib
import ctypes
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # prctl(2)


def end_with_parent(kill_preference: int = 0) -> None:
    """On Linux, the kernel kills this process when its parent process ends, and prefers to kill it out of memory.

    ``kill_preference``: of 1000, added to what the out-of-memory killer computes; 0 leaves it as it is.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if kill_preference:
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(str(kill_preference), encoding="ascii")
