"""Counts the processors of this process: the cores, limited by affinity and by the quota of its control groups.

A container with a quota sees all processors of its machine. Threads for each of them share the quota: after a fraction
of each period all of them are stopped until the next.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_GROUPS_FILE, _MOUNT = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
_V1_FOLDERS = ("cpu,cpuacct", "cpu")


@dataclass(frozen=True, slots=True)
class Processors:
    """``machine_count`` and ``affinity_count`` of the scheduler; ``quota`` in processors, None without one."""

    machine_count: int
    affinity_count: int
    quota: float | None

    @classmethod
    def of_this_process(cls) -> Processors:
        """The processors that the system gives this process now."""
        machine_count = os.cpu_count() or 1
        affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else machine_count
        return cls(machine_count, affinity, quota_of(_GROUPS_FILE, _MOUNT))

    @property
    def count(self) -> int:
        """The smallest of the three, the quota rounded up; at least 1."""
        quota = math.inf if self.quota is None else math.ceil(self.quota)
        return max(int(min(self.machine_count, self.affinity_count, quota)), 1)

    @property
    def is_limited(self) -> bool:
        """True if the process may use less than the machine has."""
        return self.count < self.machine_count

    def __str__(self) -> str:
        quota = "no quota" if self.quota is None else f"a quota of {self.quota:g}"
        return f"{self.count} (the machine has {self.machine_count}, affinity allows {self.affinity_count}, {quota})"


def quota_of(groups_file: Path, mount: Path) -> float | None:
    """The smallest quota of a process's control group and all groups above it, in processors; None without one.

    ``groups_file`` is the process's ``/proc/…/cgroup``. In a container its path may be that of the host, which does not
    exist below ``mount``: then the groups that do exist count, at least the one that is mounted. Files that cannot be
    read or understood count as no quota.
    """
    quotas: list[float] = []
    for controllers, path in _groups(groups_file):
        if controllers:
            folders = [mount / name for name in _V1_FOLDERS] if "cpu" in controllers.split(",") else []
            quotas += [quota for folder in folders for group in _upwards(folder, path) for quota in _v1_quota(group)]
        else:
            folders = [mount, mount / "unified"]
            quotas += [quota for folder in folders for group in _upwards(folder, path) for quota in _v2_quota(group)]
    return min(quotas, default=None)


def _groups(file: Path) -> Iterator[tuple[str, str]]:
    """Controllers and path of each line ``id:controllers:path``; version 2 has no controllers."""
    for line in _text(file).splitlines():
        parts = line.split(":", 2)
        if len(parts) == 3:
            yield parts[1], parts[2]


def _upwards(folder: Path, path: str) -> Iterator[Path]:
    """The group and all groups above it, up to ``folder``. A path above a namespace's root starts with ``/..``."""
    names = [name for name in path.split("/") if name not in {"", ".", ".."}]
    for count in range(len(names), -1, -1):
        yield folder.joinpath(*names[:count])


def _v2_quota(group: Path) -> Iterator[float]:
    """Of ``cpu.max``: microseconds, or ``max``, and the period."""
    words = _text(group / "cpu.max").split()
    if len(words) == 2:
        yield from _ratio(*words)


def _v1_quota(group: Path) -> Iterator[float]:
    """Of two files; -1 is no quota."""
    yield from _ratio(_text(group / "cpu.cfs_quota_us"), _text(group / "cpu.cfs_period_us"))


def _ratio(quota: str, period: str) -> Iterator[float]:
    try:
        quota_us, period_us = int(quota), int(period)
    except ValueError:
        return
    if quota_us > 0 and period_us > 0:
        yield quota_us / period_us


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
