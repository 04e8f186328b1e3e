"""Makes the memory plan of a bundle: which geometries fit, and which graphs are in memory in each stage of a job."""

from __future__ import annotations

from dataclasses import dataclass

from engine.api.capabilities import Geometry, MemoryPlan
from engine.api.errors import DoesNotFit
from engine.bundle.manifest import Manifest
from engine.memory.demand import JobDemand
from engine.memory.measure import demand_of
from engine.memory.placement import Placement
from engine.memory.remedies import describe, refusal_of, remedies_for

GPU_BYTES = 24 * 2**30
# Reserved by the driver: programs see 23.64 to 23.70 GiB of an RTX 3090 or 4090.
_DRIVER_BYTES = 9 * 2**30 // 25
# Taken from what a program sees: the CUDA context with the compiled kernels, and what is lost between allocations.
_CONTEXT_BYTES = 57 * 2**30 // 50
# Of the GPU, where scratch is unknown: an A14B expert in half precision takes 3.7 GB at 832x480x81, the decoder 4.2 GB
# (docs/benchmarks.md, an H100).
_UNKNOWN_SCRATCH_SHARE = 0.25
RESERVED_BYTES = _DRIVER_BYTES + _CONTEXT_BYTES
_PATCH_SIZE = 2  # latent cells along each side of a token


@dataclass(frozen=True, slots=True)
class BundleMemoryPlan:
    """``plans`` has a plan for each geometry that fits, ``refusals`` a sentence for each that does not.

    If ``keeps_everything``, the graphs of all geometries are in memory at once and stay there.
    """

    budget_bytes: int | None
    plans: tuple[MemoryPlan, ...]
    refusals: tuple[str, ...]
    keeps_everything: bool

    @property
    def peak_bytes(self) -> int:
        """Memory of the largest stage of any job."""
        return max(plan.peak_bytes for plan in self.plans)

    @property
    def geometries(self) -> tuple[Geometry, ...]:
        """Geometries that fit, in the bundle's order."""
        return tuple(plan.geometry for plan in self.plans)

    def of(self, geometry: Geometry) -> MemoryPlan:
        """The plan for a geometry. Raises ``KeyError`` if the geometry does not fit."""
        for plan in self.plans:
            if plan.geometry == geometry:
                return plan
        raise KeyError(describe(geometry))


def default_budget_bytes(compute_capability: str | None, visible_bytes: int | None = None) -> int | None:
    """Memory of the GPU that a program sees, minus its CUDA context; None, no limit, on a CPU.

    ``compute_capability`` None is ONNX Runtime, whose scratch no plan tells: on a GPU a share is left for that.
    ``visible_bytes`` None stands for a GPU of 24 GiB, minus 1.5 GiB for driver and context, or for a CPU.
    """
    if compute_capability is None:
        return None if visible_bytes is None else int((visible_bytes - _CONTEXT_BYTES) * (1 - _UNKNOWN_SCRATCH_SHARE))
    return GPU_BYTES - RESERVED_BYTES if visible_bytes is None else visible_bytes - _CONTEXT_BYTES


def plan_memory(
    manifest: Manifest, compute_capability: str | None, budget_bytes: int | None, *, shares_weights: bool = True
) -> BundleMemoryPlan:
    """Plans a bundle for a GPU, for example ``sm_86``, or for ONNX Runtime (None). ``budget_bytes`` None: no limit.

    See ``demand_of`` for ``shares_weights``.

    Raises ``DoesNotFit`` if no geometry fits, with what would fit for each, and ``BundleInvalid`` if the bundle was not
    compiled for the GPU.
    """
    geometries = [Geometry(item.width_px, item.height_px, item.frame_count) for item in manifest.geometries]
    demands = [
        demand_of(manifest, geometry, compute_capability, shares_weights=shares_weights) for geometry in geometries
    ]
    together = _plans_together(demands, budget_bytes)
    if together is not None:
        return BundleMemoryPlan(budget_bytes, together, (), keeps_everything=True)
    assert budget_bytes is not None  # without a limit everything is kept
    plans, refusals = [], []
    for demand in demands:
        plan = Placement(demand, budget_bytes).plan()
        if plan is not None:
            plans.append(plan)
            continue
        size_multiple_px = manifest.latent.spatial_stride * _PATCH_SIZE
        remedies = remedies_for(demand, compute_capability, budget_bytes, size_multiple_px)
        refusals.append(refusal_of(demand, remedies, budget_bytes))
    if not plans:
        raise DoesNotFit(f"{manifest.name} does not fit: {'. '.join(refusals)}")
    return BundleMemoryPlan(budget_bytes, tuple(plans), tuple(refusals), keeps_everything=False)


def _plans_together(demands: list[JobDemand], budget_bytes: int | None) -> tuple[MemoryPlan, ...] | None:
    """Plans with the graphs of all geometries in memory at once; None if they do not fit."""
    stores: dict[str, int] = {}
    for demand in demands:
        stores |= demand.weight_bytes
    plans = []
    for demand in demands:
        other_bytes = sum(stores.values()) - demand.weights_of(demand.graphs)
        plan = Placement(demand, None, other_bytes).plan()
        if plan is None or (budget_bytes is not None and plan.peak_bytes > budget_bytes):
            return None
        plans.append(plan)
    return tuple(plans)
