"""A process that is bound to its parent ends with it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

_CHILD = (
    "import time; from engine.host.parent import end_with_parent; "
    "end_with_parent(200); print('bound', flush=True); time.sleep(120)"
)
_PARENT = (
    "import subprocess, sys; "
    f"child = subprocess.Popen([sys.executable, '-c', {_CHILD!r}], stdin=subprocess.PIPE, stdout=subprocess.PIPE); "
    "child.stdout.readline(); print(child.pid, flush=True); input()"
)
_PATIENCE_SECONDS = 30.0


def test_a_killed_parent_takes_its_process_along() -> None:
    with subprocess.Popen([sys.executable, "-c", _PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        process = Path("/proc", parent.stdout.readline().decode().strip())
        assert (process / "oom_score_adj").read_text(encoding="ascii").strip() == "200"
        parent.send_signal(signal.SIGKILL)
    ends_at = time.monotonic() + _PATIENCE_SECONDS
    while _is_alive(process):
        assert time.monotonic() < ends_at
        time.sleep(0.01)


def _is_alive(process: Path) -> bool:
    """False once the process has ended, even if nobody has read its status yet."""
    try:
        return "\nState:\tZ" not in (process / "status").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return False
