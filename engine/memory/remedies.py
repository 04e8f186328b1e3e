"""Computes what would fit if a job does not: another precision, fewer frames, a smaller size.

Weights of another precision are estimated with slightly too many bits per parameter, so that a named remedy does fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from engine.api.capabilities import Geometry, StageMemory
from engine.api.events import Expert
from engine.bundle.graph_spec import GraphName, Precision
from engine.memory.demand import JobDemand
from engine.memory.placement import Placement

# Bits a parameter, with scales and the layers that stay in half precision. A14B experts compiled in INT4 with two and
# four blocks have 181 MB for each further block: 7.8 GB with 40, which is 4.37 bits for 14.289 B parameters.
_BITS: Mapping[Precision, float] = {"fp32": 32, "fp16": 16, "bf16": 16, "int8": 8.25, "fp8": 8.25, "int4": 4.5}
# umT5-xxl: 1.05 of its 5.68 B parameters are the table of tokens, which stays in half precision.
_TEXT_BITS: Mapping[Precision, float] = {**_BITS, "int8": 9.75}
_MIN_FRAME_COUNT = 5
_FIRST_FP8_CAPABILITY = 89
_SHORTEST_SIDE_IN_MULTIPLES = 4


@dataclass(frozen=True, slots=True)
class Remedy:
    """A precision and geometry that fit; ``precision`` None keeps the present one.

    ``peak_bytes`` is an upper estimate.
    """

    precision: Precision | None
    geometry: Geometry
    peak_bytes: int

    def __str__(self) -> str:
        with_precision = f"{self.precision} at " if self.precision else ""
        return f"{with_precision}{describe(self.geometry)} ({gigabytes(self.peak_bytes)})"


def remedies_for(
    demand: JobDemand, compute_capability: str | None, budget_bytes: int, size_multiple_px: int
) -> tuple[Remedy, ...]:
    """The highest precision, the longest clip and the largest size that fit, each changed alone.

    If none fits alone: the longest clip and the largest size in the lowest precision. Empty if nothing fits.
    """
    lower = _lower_precisions(demand, compute_capability)
    found = [
        *_first_precision(demand, lower, budget_bytes),
        *_first_geometries(demand, None, budget_bytes, size_multiple_px),
    ]
    if found or not lower:
        return tuple(found)
    return tuple(_first_geometries(_in(demand, lower[-1]), lower[-1], budget_bytes, size_multiple_px))


def refusal_of(demand: JobDemand, remedies: tuple[Remedy, ...], budget_bytes: int) -> str:
    """One sentence: which stage is too large, by how much, and what would fit."""
    tightest = Placement(demand, budget_bytes).tightest
    if remedies:
        advice = f"these would fit: {'; '.join(map(str, remedies))}"
    else:
        advice = "no precision, length or size would fit; use a GPU with more memory"
    return (
        f"{describe(demand.geometry)} needs {gigabytes(tightest.peak_bytes)} to {_work(tightest)} (weights "
        f"{gigabytes(tightest.weight_bytes)}, scratch {gigabytes(tightest.scratch_bytes)}, buffers "
        f"{gigabytes(tightest.buffer_bytes)}) but may take {gigabytes(budget_bytes)}; {advice}"
    )


def describe(geometry: Geometry) -> str:
    """A geometry in words."""
    return f"{geometry.width_px}x{geometry.height_px}, {geometry.frame_count} frames"


def gigabytes(byte_count: int) -> str:
    """Bytes in GB (10^9), or in MB below 0.1 GB."""
    return f"{byte_count / 1e9:.1f} GB" if byte_count >= 1e8 else f"{byte_count / 1e6:.1f} MB"


def _first_precision(demand: JobDemand, lower: tuple[Precision, ...], budget_bytes: int) -> Iterator[Remedy]:
    for precision in lower:
        peak_bytes = _least_peak(_in(demand, precision))
        if peak_bytes <= budget_bytes:
            yield Remedy(precision, demand.geometry, peak_bytes)
            return


def _first_geometries(
    demand: JobDemand, precision: Precision | None, budget_bytes: int, size_multiple_px: int
) -> Iterator[Remedy]:
    for candidates in (_shorter(demand), _smaller(demand.geometry, size_multiple_px)):
        for geometry in candidates:
            peak_bytes = _least_peak(demand.at(geometry))
            if peak_bytes <= budget_bytes:
                yield Remedy(precision, geometry, peak_bytes)
                break


def _least_peak(demand: JobDemand) -> int:
    return Placement(demand, None).tightest.peak_bytes


def _shorter(demand: JobDemand) -> Iterator[Geometry]:
    """Fewer frames at the same size, the longest first."""
    now, stride = demand.geometry, demand.temporal_stride
    for frame_count in range(now.frame_count - stride, _MIN_FRAME_COUNT - 1, -stride):
        yield Geometry(now.width_px, now.height_px, frame_count)


def _smaller(now: Geometry, multiple_px: int) -> Iterator[Geometry]:
    """Smaller sizes of about the same aspect and the same length, the largest first."""
    shorter, longer = sorted((now.width_px, now.height_px))
    for count in range(shorter // multiple_px - 1, _SHORTEST_SIDE_IN_MULTIPLES - 1, -1):
        side = count * multiple_px
        other = longer * side // shorter // multiple_px * multiple_px
        width_px, height_px = (side, other) if now.width_px <= now.height_px else (other, side)
        yield Geometry(width_px, height_px, now.frame_count)


def _lower_precisions(demand: JobDemand, compute_capability: str | None) -> tuple[Precision, ...]:
    """Precisions below that of the transformers that the GPU supports, from high to low."""
    has_fp8 = compute_capability is not None and int(compute_capability.removeprefix("sm_")) >= _FIRST_FP8_CAPABILITY
    ladder: tuple[Precision, ...] = ("fp16", "fp8" if has_fp8 else "int8", "int4")
    now = max(_BITS[item.precision] for name, item in demand.graphs.items() if name.startswith("transformer"))
    return tuple(precision for precision in ladder if _BITS[precision] < now)


def _in(demand: JobDemand, precision: Precision) -> JobDemand:
    """The demand after ``python -m export --precision``.

    A quantised transformer has an 8-bit text encoder and a 16-bit VAE.
    """
    in_text: Precision = precision if precision == "fp16" else "int8"
    changes: dict[GraphName, tuple[Precision, float]] = {}
    for name, graph in demand.graphs.items():
        bits, target = _BITS, precision
        if name == "text_encoder":
            bits, target = _TEXT_BITS, in_text
        elif name.startswith("vae_"):
            target = "fp16"
        elif not name.startswith("transformer"):
            continue
        if bits[target] < bits[graph.precision]:
            changes[name] = target, bits[target] / bits[graph.precision]
    return demand.with_precision(changes)


def _work(memory: StageMemory) -> str:
    name = memory.stage.value.replace("_", " ")
    return f"{name} ({memory.expert.value.replace('_', ' ')})" if memory.expert not in {None, Expert.SINGLE} else name
