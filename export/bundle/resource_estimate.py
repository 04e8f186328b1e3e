"""What an export will take of disk and memory, told before it begins. Knows sizes; writes nothing.

Sizes of weights are exact, from the shards' headers. What the compiler takes is estimated from builds that were
measured: 2.7 times a graph's weights in host memory, and plans as large as the weights.
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
class ComponentNeed:
    """One component in one precision. ``weight_bytes`` is what its graphs read, ``written_bytes`` what is not there."""

    name: str
    precision: Precision
    graph_count: int
    weight_bytes: int
    written_bytes: int


@dataclass(frozen=True)
class Needs:
    """Of a whole export."""

    components: tuple[ComponentNeed, ...]
    card_count: int

    @property
    def disk_bytes(self) -> int:
        """What the export will still write."""
        graphs = sum(item.graph_count for item in self.components) * _GRAPH_BYTES
        plans = self.card_count * sum(item.weight_bytes * item.graph_count for item in self.components)
        return sum(item.written_bytes for item in self.components) + graphs + plans

    @property
    def build_bytes(self) -> int:
        """Host memory at the largest build; without a card nothing is built."""
        largest = max((item.weight_bytes for item in self.components), default=0)
        return _PROCESS_BYTES + (int(_BUILD_BYTES_PER_WEIGHT_BYTE * largest) if self.card_count else 0)

    def check(self, plan: ExportPlan) -> None:
        """Refuses what disk or memory will not do. Raises ``ExportError``, naming the lever."""
        existing = next(folder for folder in (plan.out.resolve(), *plan.out.resolve().parents) if folder.exists())
        free = shutil.disk_usage(existing).free
        if free < self.disk_bytes:
            lever = (
                "put the checkpoint's folder inside it, so that nothing is copied"
                if any(item.written_bytes for item in self.components) and plan.precision in {"auto", "fp32"}
                else "take a lower precision or fewer sizes"
            )
            raise ExportError(
                f"--out {plan.out}: {_gb(self.disk_bytes)} are needed and {_gb(free)} are free on that disk; free "
                f"some, give a folder on another disk, or {lever}"
            )
        available = available_memory_bytes()
        if plan.targets and available is not None and available < self.build_bytes:
            largest = max(self.components, key=lambda item: item.weight_bytes)
            raise ExportError(
                f"--gpu: compiling {largest.name} in {largest.precision} takes about {_gb(self.build_bytes)} of "
                f"memory and {_gb(available)} are available; take a lower --precision, compile on a machine with "
                "more memory, or leave --gpu out"
            )

    def lines(self) -> Iterable[str]:
        """The plan for a person to read."""
        yield f"{'component':16} {'precision':10} {'graphs':>6} {'weights':>10} {'to write':>10}"
        for item in self.components:
            yield (
                f"{item.name:16} {item.precision:10} {item.graph_count:6} {_gb(item.weight_bytes):>10} "
                f"{_gb(item.written_bytes):>10}"
            )
        yield f"disk: {_gb(self.disk_bytes)}; host memory: about {_gb(self.build_bytes)}"
        yield (
            f"memory to run: {_gb(sum(item.weight_bytes for item in self.components))} of weights if all stay loaded, "
            f"{_gb(max((item.weight_bytes for item in self.components), default=0))} for the largest alone; "
            "activations come on top and are read from the plans"
        )


def available_memory_bytes() -> int | None:
    """Memory that can be had without swapping; None where the system does not say."""
    try:
        lines: Sequence[str] = _MEMORY_INFORMATION.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = next((line for line in lines if line.startswith("MemAvailable:")), None)
    return None if found is None else int(found.split()[1]) * 1024


def _gb(byte_count: int) -> str:
    return f"{byte_count / _GB:.2f} GB"
