"""Disk space and host memory that an export needs, estimated before anything is written.

Sizes of weights are exact, from the headers of the shards. The compiler's needs are estimated from measured builds:
2.7 times a plan's weights in host memory, and engines as large as the weights.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.bundle.graph_spec import Precision
from export.bundle.plan import ExportPlan
from export.errors import ExportError

_GB = 1e9
# docs/benchmarks.md, full_size_engine: an A14B expert in INT4 2.56 times its weights, a quarter of one in FP8 2.50, six
# blocks of the 5B in INT8 2.65.
_BUILD_BYTES_PER_WEIGHT_BYTE = 2.7
_PROCESS_BYTES = 1_500_000_000  # the exporter beside the compiler
_GRAPH_BYTES = 20_000_000  # rotary tables of 32,760 tokens are 17 MB
_MEMORY_INFORMATION = Path("/proc/meminfo")


@dataclass(frozen=True)
class BlockGroups:
    """The groups of blocks that a component is compiled as, one plan each.

    ``largest_share`` is the share of the weights, 0..1, that the largest has; ``least_count`` is the fewest that this
    machine's memory can compile, None if there is no such number.
    """

    count: int = 1
    largest_share: float = 1.0
    least_count: int | None = None


@dataclass(frozen=True)
class ComponentEstimate:
    """One component in one precision. Graphs read ``weight_bytes``; ``written_bytes`` are still to be written."""

    name: str
    precision: Precision
    graph_count: int
    weight_bytes: int
    written_bytes: int
    groups: BlockGroups = BlockGroups()

    @property
    def build_bytes(self) -> int:
        """Host memory of the exporter and the compiler at the largest plan."""
        return build_bytes(self.groups.largest_share * self.weight_bytes)


@dataclass(frozen=True)
class ResourceEstimate:
    """The estimate of a whole export for ``target_count`` targets.

    ``is_plans_only``: weights and graphs of one component at a time are on the disk.
    """

    components: tuple[ComponentEstimate, ...]
    target_count: int
    is_plans_only: bool = False

    @property
    def disk_bytes(self) -> int:
        """Bytes that the export will still write, less those that it removes before it writes others."""
        sources = [item.written_bytes + item.graph_count * _GRAPH_BYTES for item in self.components]
        engines = self.target_count * sum(item.weight_bytes * item.graph_count for item in self.components)
        return (max(sources, default=0) if self.is_plans_only else sum(sources)) + engines

    @property
    def build_bytes(self) -> int:
        """Host memory at the largest build; without a target nothing is compiled."""
        if not self.target_count:
            return build_bytes(0)
        return max((item.build_bytes for item in self.components), default=build_bytes(0))

    def refuse_shortage(self, plan: ExportPlan) -> None:
        """Refuses an export that disk or memory cannot hold. Raises ``ExportError``, naming an option that helps."""
        free = free_disk_bytes(plan.out)
        if free < self.disk_bytes:
            remedy = (
                "put the checkpoint's folder inside it, so that nothing is copied"
                if any(item.written_bytes for item in self.components) and plan.precision in {"auto", "fp32"}
                else "take a lower precision or fewer sizes"
            )
            raise ExportError(
                f"--out {plan.out}: {_gb(self.disk_bytes)} are needed and {_gb(free)} are free on that disk; free "
                f"some space, give a folder on another disk, or {remedy}"
            )
        available = available_memory_bytes()
        if plan.targets and available is not None and available < self.build_bytes:
            largest = max(self.components, key=lambda item: item.build_bytes)
            groups = largest.groups
            as_groups = f" as {groups.count} groups of blocks" if groups.count > 1 else ""
            advice = "take a lower --precision, compile on a machine with more memory, or leave --gpu out"
            if groups.least_count is not None:  # --groups asks for fewer
                advice = f"take --groups {groups.least_count}, or leave --groups out"
            raise ExportError(
                f"--gpu: compiling {largest.name} in {largest.precision}{as_groups} takes about "
                f"{_gb(self.build_bytes)} of memory and {_gb(available)} are available; {advice}"
            )

    def lines(self) -> Iterable[str]:
        """The estimate as a table to print."""
        yield f"{'component':16} {'precision':10} {'graphs':>6} {'weights':>10} {'to write':>10}"
        for item in self.components:
            yield (
                f"{item.name:16} {item.precision:10} {item.graph_count:6} {_gb(item.weight_bytes):>10} "
                f"{_gb(item.written_bytes):>10}"
            )
        for item in self.components:
            if item.groups.count > 1:
                yield (
                    f"{item.name}: compiled as {item.groups.count} groups of blocks; one plan would take about "
                    f"{_gb(build_bytes(item.weight_bytes))} of host memory"
                )
        yield f"disk: {_gb(self.disk_bytes)}; host memory: about {_gb(self.build_bytes)}"
        yield (
            f"memory to run: {_gb(sum(item.weight_bytes for item in self.components))} of weights if all stay loaded, "
            f"{_gb(max((item.weight_bytes for item in self.components), default=0))} for the largest alone; "
            "activations come on top and are read from the engines"
        )


def build_bytes(plan_weight_bytes: float) -> int:
    """Host memory of the exporter and the compiler at a plan of so many bytes of weights."""
    return _PROCESS_BYTES + int(_BUILD_BYTES_PER_WEIGHT_BYTE * plan_weight_bytes)


def free_disk_bytes(folder: Path) -> int:
    """Free bytes on the disk of a folder, which may still be to be made."""
    existing = next(path for path in (folder.resolve(), *folder.resolve().parents) if path.exists())
    return shutil.disk_usage(existing).free


def available_memory_bytes() -> int | None:
    """Memory available without swapping; None where the system does not report it."""
    try:
        lines: Sequence[str] = _MEMORY_INFORMATION.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = next((line for line in lines if line.startswith("MemAvailable:")), None)
    return None if found is None else int(found.split()[1]) * 1024


def _gb(byte_count: int) -> str:
    return f"{byte_count / _GB:.2f} GB"
