"""What a server has loaded. Plain frozen data; knows no protobuf and no gRPC."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stillcue.events import Expert, FrameEncoding, Stage


class ModelFamily(enum.StrEnum):
    """Shapes of model: two experts, or one transformer; ``UNKNOWN`` to this version of the client."""

    UNKNOWN = "unknown"
    WAN22_I2V_A14B = "wan22_i2v_a14b"
    WAN22_TI2V_5B = "wan22_ti2v_5b"


@dataclass(frozen=True, slots=True)
class Model:
    """A model as it was exported. Digests are SHA-256 in hexadecimal; ``license`` is that of the weights."""

    name: str
    family: ModelFamily
    bundle_digest: str
    checkpoint_digest: str
    runtime: str
    license: str


@dataclass(frozen=True, slots=True)
class Geometry:
    """A size and length that was compiled."""

    width_px: int
    height_px: int
    frame_count: int


@dataclass(frozen=True, slots=True)
class SamplingDefaults:
    """Values that unset options of ``generate`` take. ``frame_rate`` is frames per second.

    ``guidance_scale_low_noise`` is None for models with one transformer.
    """

    step_count: int
    guidance_scale: float
    guidance_scale_low_noise: float | None
    shift: float
    frame_rate: float
    negative_prompt: str


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may hold, and how many jobs may wait."""

    max_image_bytes: int
    max_image_pixel_count: int
    max_step_count: int
    max_prompt_character_count: int
    queue_capacity: int


@dataclass(frozen=True, slots=True)
class StageMemory:
    """What the server's memory holds in one stage of a job; ``expert`` is None outside denoising.

    Of the ``resident_graphs``, the stage waits for the ``loaded_graphs``; ``prefetched_graphs`` are loaded for a later
    stage while this one works. ``scratch_bytes`` is what graph calls need for themselves, ``buffer_bytes`` what is
    bound to them.
    """

    stage: Stage
    expert: Expert | None
    resident_graphs: tuple[str, ...]
    loaded_graphs: tuple[str, ...]
    prefetched_graphs: tuple[str, ...]
    weight_bytes: int
    scratch_bytes: int
    buffer_bytes: int
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """How a job of one geometry shares the server's memory; ``swapped_graphs`` are loaded in every job."""

    geometry: Geometry
    stages: tuple[StageMemory, ...]
    peak_bytes: int
    swapped_graphs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a server has loaded.

    The first of ``geometries`` is the default. ``match_supported`` tells whether match scores can be had.
    ``notices`` say what to know before judging results, for example that the weights are random. ``memory_plans`` has
    one plan for each geometry, ``memory_budget_bytes`` is what they keep to; None: no limit.
    """

    server_version: str
    model: Model
    geometries: tuple[Geometry, ...]
    sampling_defaults: SamplingDefaults
    limits: Limits
    match_supported: bool
    frame_encodings: tuple[FrameEncoding, ...]
    notices: tuple[str, ...]
    memory_budget_bytes: int | None = None
    memory_plans: tuple[MemoryPlan, ...] = ()
