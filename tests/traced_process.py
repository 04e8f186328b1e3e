"""A process and its children under strace: the addresses that they contacted and the files that they wrote."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
_CALLS = "connect,sendto,sendmsg,sendmmsg,open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,symlink"
_WRITES = re.compile(r"O_(WRONLY|RDWR|CREAT|TRUNC|APPEND)")
# Of the system: devices, shared memory without a name on a disk, and files of the process itself.
_SYSTEM = ("/dev/", "/proc/")
# A process sees no other variable: ONNX Runtime, for one, is silent where CI or GITHUB_ACTIONS is set.
_KEPT = {"PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH"}


@dataclass(frozen=True)
class TracedProcess:
    """``home`` and ``temporary`` are empty folders that the process is told to be its user's and its machine's."""

    process: subprocess.Popen[str]
    log: Path
    home: Path
    temporary: Path

    def contacted(self) -> list[str]:
        """Every call that names an internet address or a domain socket, but for the C library's cache of users."""
        named = [line for line in self._calls() if re.search(r"sa_family=AF_(INET6?|UNIX)", line)]
        return [line for line in named if "/nscd/socket" not in line]

    def written(self) -> list[str]:
        """Every call that opened a file for writing, or made, moved or linked one, and did not fail."""
        return [
            line
            for line in self._calls()
            if not re.search(r" = -1 |^\S*\s*(connect|send)", line)
            and (_WRITES.search(line) or not re.match(r"(open|openat)\(", line))
            and not any(f'"{folder}' in line for folder in _SYSTEM)
        ]

    def _calls(self) -> list[str]:
        """Lines without the process id; the two halves of a call that was interrupted are joined."""
        halves: dict[str, str] = {}
        calls = []
        for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines():
            process, _, call = line.partition(" ")
            call = call.strip()
            if call.endswith("<unfinished ...>"):
                halves[process] = call.removesuffix("<unfinished ...>")
                continue
            resumed = re.match(r"<\.\.\. \w+ resumed>", call)
            if resumed is not None:
                call = halves.pop(process, "") + call[resumed.end() :]
            if not call.startswith(("---", "+++")):
                calls.append(call)
        return calls


@contextmanager
def traced(folder: Path, *arguments: str | Path, **environment: str) -> Iterator[TracedProcess]:
    """Runs Python with arguments; ends it with the block. Skips the test where there is no strace."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    home, temporary, log = folder / "home", folder / "temporary", folder / "calls.txt"
    home.mkdir()
    temporary.mkdir()
    kept = {key: value for key, value in os.environ.items() if key in _KEPT}
    settings = {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "TMPDIR": str(temporary),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    command = [strace, "-f", "-qq", "--seccomp-bpf", "-e", f"trace={_CALLS}", "-s", "200", "-o", log, sys.executable]
    process = subprocess.Popen(
        [*map(str, command), *map(str, arguments)],
        cwd=ROOT,
        env={**kept, **settings, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield TracedProcess(process, log, home, temporary)
        finally:
            if process.poll() is None:
                process.kill()
