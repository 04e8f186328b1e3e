"""Capabilities of a loaded engine: model, sizes, defaults, limits and the memory plan of each size."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from engine.api.events import Expert, Stage
from engine.api.reuse import StepReuse


class Family(enum.Enum):
    """Model architectures that the engine can serve."""

    WAN22_I2V_A14B = "wan22-i2v-a14b"
    WAN22_TI2V_5B = "wan22-ti2v-5b"


@dataclass(frozen=True, slots=True)
class Geometry:
    """A compiled size and length. ``frame_count`` is 4n + 1."""

    width_px: int
    height_px: int
    frame_count: int


@dataclass(frozen=True, slots=True)
class SamplingDefaults:
    """Values of sampling settings that a job leaves unset."""

    step_count: int
    guidance_scale: float
    guidance_scale_low_noise: float | None
    shift: float
    frame_rate: float
    negative_prompt: str
    reuse: StepReuse = StepReuse.OFF


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper limits of a job's fields."""

    max_image_bytes: int = 8 * 1024 * 1024
    max_image_pixel_count: int = 50_000_000
    max_step_count: int = 100
    max_prompt_character_count: int = 2_000
    max_segment_count: int = 12


@dataclass(frozen=True, slots=True)
class StageMemory:
    """Memory in one stage of a job. Graphs are named as in the manifest.

    ``resident`` lists all graphs in memory. ``loaded`` lists those that are loaded when the stage begins,
    ``prefetched`` those of the next stage that are loaded meanwhile. ``scratch_bytes`` is the working memory of graph
    calls, ``buffer_bytes`` the size of the tensors that are bound to them.
    """

    stage: Stage
    expert: Expert | None
    resident: tuple[str, ...]
    loaded: tuple[str, ...]
    prefetched: tuple[str, ...]
    weight_bytes: int
    scratch_bytes: int
    buffer_bytes: int

    @property
    def peak_bytes(self) -> int:
        """Weights, scratch and buffers together."""
        return self.weight_bytes + self.scratch_bytes + self.buffer_bytes


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Memory in each stage of a job of one geometry, in order."""

    geometry: Geometry
    stages: tuple[StageMemory, ...]

    @property
    def peak_bytes(self) -> int:
        """Memory of the largest stage."""
        return max(stage.peak_bytes for stage in self.stages)

    @property
    def swapped(self) -> tuple[str, ...]:
        """Graphs that every job loads again, because there is no room to keep them."""
        return tuple(name for stage in self.stages for name in (*stage.loaded, *stage.prefetched))


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Properties of a loaded engine. Digests are SHA-256 in hexadecimal.

    ``memory_budget_bytes`` is None without a limit; ``memory_plans`` has one plan for each geometry. A clip whose
    ``JobDone.success`` is at least ``accept_from``, 0..1, counts as good; None: the bundle has no fit for that.
    ``device`` is ``cpu``, or the card as ``--device`` takes it, for example ``cuda:0``; ``gpu_uuid`` is the card's UUID
    as ``nvidia-smi -L`` writes it, empty on a CPU. Without ``reuse_supported``
    every job computes every step: the bundle is distilled for few steps, or its export lacks the columns for reuse.
    ``given_frame_count``: frames that each segment of a chain repeats from the one before.
    """

    model_name: str
    family: Family
    bundle_digest: str
    checkpoint_digest: str
    runtime: str
    license: str
    geometries: tuple[Geometry, ...]
    defaults: SamplingDefaults
    limits: Limits
    match_supported: bool
    notices: tuple[str, ...] = ()
    memory_budget_bytes: int | None = None
    memory_plans: tuple[MemoryPlan, ...] = ()
    accept_from: float | None = None
    device: str = "cpu"
    gpu_uuid: str = ""
    reuse_supported: bool = False
    given_frame_count: int = 1

    def longest_chain(self, lengths: Iterable[int]) -> int:
        """Number of frames of the longest clip of segments of these lengths; a clip of one segment counts too."""
        longest = max(lengths)
        return longest + max(longest - self.given_frame_count, 0) * (self.limits.max_segment_count - 1)

    @property
    def max_frame_count(self) -> int:
        """Number of frames of the longest clip, of any size."""
        return self.longest_chain(geometry.frame_count for geometry in self.geometries)
