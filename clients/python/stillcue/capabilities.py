"""What a server has loaded: frozen dataclasses that mirror GetCapabilitiesResponse. Imports no protobuf, no gRPC."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stillcue.reuse import StepReuse

if TYPE_CHECKING:
    from stillcue.events import Expert, FrameEncoding, Stage, VideoCodec


class ModelFamily(enum.StrEnum):
    """Model families: two experts (A14B), or one transformer (5B); ``UNKNOWN``: newer than this client."""

    UNKNOWN = "unknown"
    WAN22_I2V_A14B = "wan22_i2v_a14b"
    WAN22_TI2V_5B = "wan22_ti2v_5b"


@dataclass(frozen=True, slots=True)
class Model:
    """The exported model. Digests are SHA-256 in hexadecimal; ``license`` is the licence of the weights."""

    name: str
    family: ModelFamily
    bundle_digest: str
    checkpoint_digest: str
    runtime: str
    license: str


@dataclass(frozen=True, slots=True)
class Geometry:
    """A frame size and clip length that the bundle was compiled for."""

    width_px: int
    height_px: int
    frame_count: int


@dataclass(frozen=True, slots=True)
class SamplingDefaults:
    """Defaults of unset options of ``generate``. ``frame_rate`` is in frames per second.

    ``guidance_scale_low_noise`` is None for models with one transformer. ``step_reuse`` is ``UNKNOWN`` from older
    servers, which compute every step.
    """

    step_count: int
    guidance_scale: float
    guidance_scale_low_noise: float | None
    shift: float
    frame_rate: float
    negative_prompt: str
    step_reuse: StepReuse = StepReuse.UNKNOWN


@dataclass(frozen=True, slots=True)
class Limits:
    """Largest values that a request may have, and the number of jobs that may wait in the queue."""

    max_image_bytes: int
    max_image_pixel_count: int
    max_step_count: int
    max_prompt_character_count: int
    queue_capacity: int


@dataclass(frozen=True, slots=True)
class StageMemory:
    """Planned memory of the server's device in one stage of a job; ``expert`` is None outside denoising.

    Of the ``resident_graphs``, the ``loaded_graphs`` are loaded when the stage begins, and ``prefetched_graphs`` during
    the stage for a later one. ``scratch_bytes`` is the workspace of graph calls, ``buffer_bytes`` their inputs and
    outputs.
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
    """The memory plan of a job of one geometry; ``swapped_graphs`` do not stay in memory: every job loads them."""

    geometry: Geometry
    stages: tuple[StageMemory, ...]
    peak_bytes: int
    swapped_graphs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AttemptSupport:
    """Support of ``attempts`` by a server.

    ``accept_from``: probability of success from which on a clip is accepted unless the request says otherwise.
    """

    accept_from: float
    maximum_count: int


@dataclass(frozen=True, slots=True)
class ChainSupport:
    """Support of clips that are longer than the longest of ``geometries``.

    ``given_frame_count``: last frames of the segment before with which a segment begins. ``max_frame_count``: frames of
    the longest clip.
    """

    max_segment_count: int
    given_frame_count: int
    max_frame_count: int


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a server has loaded.

    The first of ``geometries`` is the default. ``match_supported``: the bundle has a scorer. ``notices`` are messages
    that matter for judging results, for example that the weights are random. ``memory_plans`` has one plan for each
    geometry, within ``memory_budget_bytes``; None: no limit. ``video_codecs`` are those of video files, the default
    first; empty: the server encodes none. ``attempts`` None: every clip is made once, as the bundle cannot judge a
    finished one. Without ``step_reuse_supported`` every step is computed. ``device`` is ``cpu`` or a GPU, for example
    ``cuda:0``; empty from older servers. ``chains`` None: an older server, which knows neither ``segments`` nor
    ``seconds``.
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
    video_codecs: tuple[VideoCodec, ...] = ()
    attempts: AttemptSupport | None = None
    step_reuse_supported: bool = False
    device: str = ""
    chains: ChainSupport | None = None
