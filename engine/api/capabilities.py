"""What an engine has loaded: model, sizes, defaults, limits and the memory plan of each size."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from engine.api.events import Expert, Stage


class Family(enum.Enum):
    """Shapes of model that can be served."""

    WAN22_I2V_A14B = "wan22-i2v-a14b"
    WAN22_TI2V_5B = "wan22-ti2v-5b"


@dataclass(frozen=True, slots=True)
class Geometry:
    """A size and length that was compiled. ``frame_count`` is 4n + 1."""

    width_px: int
    height_px: int
    frame_count: int


@dataclass(frozen=True, slots=True)
class SamplingDefaults:
    """Values that unset sampling fields take."""

    step_count: int
    guidance_scale: float
    guidance_scale_low_noise: float | None
    shift: float
    frame_rate: float
    negative_prompt: str


@dataclass(frozen=True, slots=True)
class Limits:
    """What a job may hold."""

    max_image_bytes: int = 8 * 1024 * 1024
    max_image_pixel_count: int = 50_000_000
    max_step_count: int = 100
    max_prompt_character_count: int = 2_000


@dataclass(frozen=True, slots=True)
class StageMemory:
    """What memory holds in one stage of a job; graphs by their stage's name in the manifest.

    ``resident`` are all graphs in memory, with those that are ``loaded`` as the stage begins because they were not
    there yet, and those of the next stage that are ``prefetched`` while this one works. ``scratch_bytes`` is what calls
    need for themselves, ``buffer_bytes`` what is bound to them.
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
        """All of it."""
        return self.weight_bytes + self.scratch_bytes + self.buffer_bytes


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """The stages of a job of one geometry, in order."""

    geometry: Geometry
    stages: tuple[StageMemory, ...]

    @property
    def peak_bytes(self) -> int:
        """The most that any stage holds."""
        return max(stage.peak_bytes for stage in self.stages)

    @property
    def swapped(self) -> tuple[str, ...]:
        """Graphs that are loaded in every job, because they cannot stay."""
        return tuple(name for stage in self.stages for name in (*stage.loaded, *stage.prefetched))


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine has loaded. Digests are SHA-256 in hexadecimal.

    ``memory_budget_bytes`` None means that no limit is kept; ``memory_plans`` has one plan for each geometry.
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
