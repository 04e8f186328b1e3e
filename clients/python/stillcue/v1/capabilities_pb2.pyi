from stillcue.v1 import attempts_pb2 as _attempts_pb2
from stillcue.v1 import generate_pb2 as _generate_pb2
from stillcue.v1 import media_pb2 as _media_pb2
from stillcue.v1 import segments_pb2 as _segments_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ModelFamily(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODEL_FAMILY_UNSPECIFIED: _ClassVar[ModelFamily]
    MODEL_FAMILY_WAN22_I2V_A14B: _ClassVar[ModelFamily]
    MODEL_FAMILY_WAN22_TI2V_5B: _ClassVar[ModelFamily]
MODEL_FAMILY_UNSPECIFIED: ModelFamily
MODEL_FAMILY_WAN22_I2V_A14B: ModelFamily
MODEL_FAMILY_WAN22_TI2V_5B: ModelFamily

class GetCapabilitiesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetCapabilitiesResponse(_message.Message):
    __slots__ = ("server_version", "model", "geometries", "sampling_defaults", "limits", "match_supported", "frame_encodings", "notices", "memory_budget_bytes", "memory_plans", "video_codecs", "attempts", "step_reuse_supported", "device", "chains")
    SERVER_VERSION_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    GEOMETRIES_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_DEFAULTS_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    MATCH_SUPPORTED_FIELD_NUMBER: _ClassVar[int]
    FRAME_ENCODINGS_FIELD_NUMBER: _ClassVar[int]
    NOTICES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BUDGET_BYTES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_PLANS_FIELD_NUMBER: _ClassVar[int]
    VIDEO_CODECS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    STEP_REUSE_SUPPORTED_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    CHAINS_FIELD_NUMBER: _ClassVar[int]
    server_version: str
    model: Model
    geometries: _containers.RepeatedCompositeFieldContainer[Geometry]
    sampling_defaults: SamplingDefaults
    limits: Limits
    match_supported: bool
    frame_encodings: _containers.RepeatedScalarFieldContainer[_media_pb2.FrameEncoding]
    notices: _containers.RepeatedScalarFieldContainer[str]
    memory_budget_bytes: int
    memory_plans: _containers.RepeatedCompositeFieldContainer[MemoryPlan]
    video_codecs: _containers.RepeatedScalarFieldContainer[_media_pb2.VideoCodec]
    attempts: _attempts_pb2.AttemptSupport
    step_reuse_supported: bool
    device: str
    chains: _segments_pb2.ChainSupport
    def __init__(self, server_version: _Optional[str] = ..., model: _Optional[_Union[Model, _Mapping]] = ..., geometries: _Optional[_Iterable[_Union[Geometry, _Mapping]]] = ..., sampling_defaults: _Optional[_Union[SamplingDefaults, _Mapping]] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., match_supported: bool = ..., frame_encodings: _Optional[_Iterable[_Union[_media_pb2.FrameEncoding, str]]] = ..., notices: _Optional[_Iterable[str]] = ..., memory_budget_bytes: _Optional[int] = ..., memory_plans: _Optional[_Iterable[_Union[MemoryPlan, _Mapping]]] = ..., video_codecs: _Optional[_Iterable[_Union[_media_pb2.VideoCodec, str]]] = ..., attempts: _Optional[_Union[_attempts_pb2.AttemptSupport, _Mapping]] = ..., step_reuse_supported: bool = ..., device: _Optional[str] = ..., chains: _Optional[_Union[_segments_pb2.ChainSupport, _Mapping]] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("name", "family", "bundle_digest", "checkpoint_digest", "runtime", "license")
    NAME_FIELD_NUMBER: _ClassVar[int]
    FAMILY_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_FIELD_NUMBER: _ClassVar[int]
    LICENSE_FIELD_NUMBER: _ClassVar[int]
    name: str
    family: ModelFamily
    bundle_digest: str
    checkpoint_digest: str
    runtime: str
    license: str
    def __init__(self, name: _Optional[str] = ..., family: _Optional[_Union[ModelFamily, str]] = ..., bundle_digest: _Optional[str] = ..., checkpoint_digest: _Optional[str] = ..., runtime: _Optional[str] = ..., license: _Optional[str] = ...) -> None: ...

class Geometry(_message.Message):
    __slots__ = ("width_px", "height_px", "frame_count")
    WIDTH_PX_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_PX_FIELD_NUMBER: _ClassVar[int]
    FRAME_COUNT_FIELD_NUMBER: _ClassVar[int]
    width_px: int
    height_px: int
    frame_count: int
    def __init__(self, width_px: _Optional[int] = ..., height_px: _Optional[int] = ..., frame_count: _Optional[int] = ...) -> None: ...

class SamplingDefaults(_message.Message):
    __slots__ = ("step_count", "guidance_scale", "guidance_scale_low_noise", "shift", "frame_rate", "negative_prompt", "step_reuse")
    STEP_COUNT_FIELD_NUMBER: _ClassVar[int]
    GUIDANCE_SCALE_FIELD_NUMBER: _ClassVar[int]
    GUIDANCE_SCALE_LOW_NOISE_FIELD_NUMBER: _ClassVar[int]
    SHIFT_FIELD_NUMBER: _ClassVar[int]
    FRAME_RATE_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_PROMPT_FIELD_NUMBER: _ClassVar[int]
    STEP_REUSE_FIELD_NUMBER: _ClassVar[int]
    step_count: int
    guidance_scale: float
    guidance_scale_low_noise: float
    shift: float
    frame_rate: float
    negative_prompt: str
    step_reuse: _generate_pb2.StepReuse
    def __init__(self, step_count: _Optional[int] = ..., guidance_scale: _Optional[float] = ..., guidance_scale_low_noise: _Optional[float] = ..., shift: _Optional[float] = ..., frame_rate: _Optional[float] = ..., negative_prompt: _Optional[str] = ..., step_reuse: _Optional[_Union[_generate_pb2.StepReuse, str]] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("max_image_bytes", "max_image_pixel_count", "max_step_count", "max_prompt_character_count", "queue_capacity")
    MAX_IMAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_IMAGE_PIXEL_COUNT_FIELD_NUMBER: _ClassVar[int]
    MAX_STEP_COUNT_FIELD_NUMBER: _ClassVar[int]
    MAX_PROMPT_CHARACTER_COUNT_FIELD_NUMBER: _ClassVar[int]
    QUEUE_CAPACITY_FIELD_NUMBER: _ClassVar[int]
    max_image_bytes: int
    max_image_pixel_count: int
    max_step_count: int
    max_prompt_character_count: int
    queue_capacity: int
    def __init__(self, max_image_bytes: _Optional[int] = ..., max_image_pixel_count: _Optional[int] = ..., max_step_count: _Optional[int] = ..., max_prompt_character_count: _Optional[int] = ..., queue_capacity: _Optional[int] = ...) -> None: ...

class MemoryPlan(_message.Message):
    __slots__ = ("geometry", "stages", "peak_bytes", "swapped_graphs")
    GEOMETRY_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    PEAK_BYTES_FIELD_NUMBER: _ClassVar[int]
    SWAPPED_GRAPHS_FIELD_NUMBER: _ClassVar[int]
    geometry: Geometry
    stages: _containers.RepeatedCompositeFieldContainer[StageMemory]
    peak_bytes: int
    swapped_graphs: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, geometry: _Optional[_Union[Geometry, _Mapping]] = ..., stages: _Optional[_Iterable[_Union[StageMemory, _Mapping]]] = ..., peak_bytes: _Optional[int] = ..., swapped_graphs: _Optional[_Iterable[str]] = ...) -> None: ...

class StageMemory(_message.Message):
    __slots__ = ("stage", "expert", "resident_graphs", "loaded_graphs", "prefetched_graphs", "weight_bytes", "scratch_bytes", "buffer_bytes", "peak_bytes")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    EXPERT_FIELD_NUMBER: _ClassVar[int]
    RESIDENT_GRAPHS_FIELD_NUMBER: _ClassVar[int]
    LOADED_GRAPHS_FIELD_NUMBER: _ClassVar[int]
    PREFETCHED_GRAPHS_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_BYTES_FIELD_NUMBER: _ClassVar[int]
    SCRATCH_BYTES_FIELD_NUMBER: _ClassVar[int]
    BUFFER_BYTES_FIELD_NUMBER: _ClassVar[int]
    PEAK_BYTES_FIELD_NUMBER: _ClassVar[int]
    stage: _generate_pb2.Stage
    expert: _generate_pb2.Expert
    resident_graphs: _containers.RepeatedScalarFieldContainer[str]
    loaded_graphs: _containers.RepeatedScalarFieldContainer[str]
    prefetched_graphs: _containers.RepeatedScalarFieldContainer[str]
    weight_bytes: int
    scratch_bytes: int
    buffer_bytes: int
    peak_bytes: int
    def __init__(self, stage: _Optional[_Union[_generate_pb2.Stage, str]] = ..., expert: _Optional[_Union[_generate_pb2.Expert, str]] = ..., resident_graphs: _Optional[_Iterable[str]] = ..., loaded_graphs: _Optional[_Iterable[str]] = ..., prefetched_graphs: _Optional[_Iterable[str]] = ..., weight_bytes: _Optional[int] = ..., scratch_bytes: _Optional[int] = ..., buffer_bytes: _Optional[int] = ..., peak_bytes: _Optional[int] = ...) -> None: ...
