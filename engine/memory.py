"""Memory of a process."""

from __future__ import annotations

import resource
import sys
from pathlib import Path


def peak_resident_bytes(process_id: int | None = None) -> int:
    """Peak resident memory of this process so far, or of another one; 0 where that one is gone or not to be seen.

    On Linux from the process's own status: ``getrusage`` there starts with the peak of the process that forked it.
    """
    status = Path(f"/proc/{process_id or 'self'}/status")
    try:
        lines = status.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    if process_id is not None:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # kibibytes everywhere but on macOS
