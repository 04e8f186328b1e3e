"""Memory of this process."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

_LINUX_STATUS = Path("/proc/self/status")


def peak_resident_bytes() -> int:
    """Peak resident memory of this process so far.

    On Linux from the process's own status: ``getrusage`` there starts with the peak of the process that forked it.
    """
    if _LINUX_STATUS.exists():
        line = next(line for line in _LINUX_STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # kibibytes everywhere but on macOS
