"""Memory of processes, from Linux's /proc."""

from __future__ import annotations

import resource
import sys
from pathlib import Path


def resident_bytes(process_id: int | None = None) -> int:
    """Resident memory of this process, or of another one; 0 if that one is gone or not visible.

    On systems without /proc: the peak of this process.
    """
    if process_id is not None:
        return _status("VmRSS", str(process_id)) or 0
    return _status("VmRSS", "self") or peak_resident_bytes()


def memory_kill_count() -> int:
    """Number of processes that the kernel killed for lack of memory, in this control group or else on this machine.

    0 on systems that do not tell.
    """
    for path in (Path("/sys/fs/cgroup/memory.events"), Path("/proc/vmstat")):
        try:
            words = path.read_text(encoding="ascii").split()
        except OSError:
            continue
        if "oom_kill" in words:
            return int(words[words.index("oom_kill") + 1])
    return 0


def peak_resident_bytes(process_id: int | None = None) -> int:
    """Peak resident memory of this process, or of another one; 0 if that one is gone or not visible.

    Read from /proc on Linux, because ``getrusage`` there starts with the peak of the process that forked this one.
    """
    if process_id is not None:
        return _status("VmHWM", str(process_id)) or 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    in_bytes = peak if sys.platform == "darwin" else peak * 1024  # kibibytes everywhere but on macOS
    return _status("VmHWM", "self") or in_bytes


def _status(field: str, process: str) -> int | None:
    """A figure of a process's /proc status in bytes; None if there is none."""
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:")), None)
