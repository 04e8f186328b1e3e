import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from stillcue.v1 import attempts_pb2 as _attempts_pb2
from stillcue.v1 import diagnosis_pb2 as _diagnosis_pb2
from stillcue.v1 import match_pb2 as _match_pb2
from stillcue.v1 import media_pb2 as _media_pb2
from stillcue.v1 import segments_pb2 as _segments_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StepReuse(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STEP_REUSE_UNSPECIFIED: _ClassVar[StepReuse]
    STEP_REUSE_OFF: _ClassVar[StepReuse]
    STEP_REUSE_BALANCED: _ClassVar[StepReuse]
    STEP_REUSE_FAST: _ClassVar[StepReuse]

class Stage(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STAGE_UNSPECIFIED: _ClassVar[Stage]
    STAGE_MATCH: _ClassVar[Stage]
    STAGE_ENCODE_TEXT: _ClassVar[Stage]
    STAGE_ENCODE_IMAGE: _ClassVar[Stage]
    STAGE_DENOISE: _ClassVar[Stage]
    STAGE_DECODE: _ClassVar[Stage]

class StepWork(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STEP_WORK_UNSPECIFIED: _ClassVar[StepWork]
    STEP_WORK_FULL: _ClassVar[StepWork]
    STEP_WORK_GUIDANCE_REUSED: _ClassVar[StepWork]
    STEP_WORK_REUSED: _ClassVar[StepWork]

class Expert(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EXPERT_UNSPECIFIED: _ClassVar[Expert]
    EXPERT_HIGH_NOISE: _ClassVar[Expert]
    EXPERT_LOW_NOISE: _ClassVar[Expert]
    EXPERT_SINGLE: _ClassVar[Expert]
STEP_REUSE_UNSPECIFIED: StepReuse
STEP_REUSE_OFF: StepReuse
STEP_REUSE_BALANCED: StepReuse
STEP_REUSE_FAST: StepReuse
STAGE_UNSPECIFIED: Stage
STAGE_MATCH: Stage
STAGE_ENCODE_TEXT: Stage
STAGE_ENCODE_IMAGE: Stage
STAGE_DENOISE: Stage
STAGE_DECODE: Stage
STEP_WORK_UNSPECIFIED: StepWork
STEP_WORK_FULL: StepWork
STEP_WORK_GUIDANCE_REUSED: StepWork
STEP_WORK_REUSED: StepWork
EXPERT_UNSPECIFIED: Expert
EXPERT_HIGH_NOISE: Expert
EXPERT_LOW_NOISE: Expert
EXPERT_SINGLE: Expert

class GenerateRequest(_message.Message):
    __slots__ = ("request_id", "image", "prompt", "negative_prompt", "video", "sampling", "match", "stream", "resume_token", "attempts", "segments")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_PROMPT_FIELD_NUMBER: _ClassVar[int]
    VIDEO_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_FIELD_NUMBER: _ClassVar[int]
    MATCH_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    image: _media_pb2.Image
    prompt: str
    negative_prompt: str
    video: VideoSpec
    sampling: SamplingSpec
    match: _match_pb2.MatchPolicy
    stream: StreamSpec
    resume_token: str
    attempts: _attempts_pb2.Attempts
    segments: _containers.RepeatedCompositeFieldContainer[_segments_pb2.SegmentSpec]
    def __init__(self, request_id: _Optional[str] = ..., image: _Optional[_Union[_media_pb2.Image, _Mapping]] = ..., prompt: _Optional[str] = ..., negative_prompt: _Optional[str] = ..., video: _Optional[_Union[VideoSpec, _Mapping]] = ..., sampling: _Optional[_Union[SamplingSpec, _Mapping]] = ..., match: _Optional[_Union[_match_pb2.MatchPolicy, _Mapping]] = ..., stream: _Optional[_Union[StreamSpec, _Mapping]] = ..., resume_token: _Optional[str] = ..., attempts: _Optional[_Union[_attempts_pb2.Attempts, _Mapping]] = ..., segments: _Optional[_Iterable[_Union[_segments_pb2.SegmentSpec, _Mapping]]] = ...) -> None: ...

class CancelGenerateRequest(_message.Message):
    __slots__ = ("request_id",)
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    def __init__(self, request_id: _Optional[str] = ...) -> None: ...

class CancelGenerateResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class VideoSpec(_message.Message):
    __slots__ = ("width_px", "height_px", "frame_count", "frame_rate", "picture_fit", "seconds")
    WIDTH_PX_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_PX_FIELD_NUMBER: _ClassVar[int]
    FRAME_COUNT_FIELD_NUMBER: _ClassVar[int]
    FRAME_RATE_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIT_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    width_px: int
    height_px: int
    frame_count: int
    frame_rate: float
    picture_fit: _media_pb2.PictureFit
    seconds: float
    def __init__(self, width_px: _Optional[int] = ..., height_px: _Optional[int] = ..., frame_count: _Optional[int] = ..., frame_rate: _Optional[float] = ..., picture_fit: _Optional[_Union[_media_pb2.PictureFit, str]] = ..., seconds: _Optional[float] = ...) -> None: ...

class SamplingSpec(_message.Message):
    __slots__ = ("step_count", "guidance_scale", "guidance_scale_low_noise", "seed", "shift", "step_reuse")
    STEP_COUNT_FIELD_NUMBER: _ClassVar[int]
    GUIDANCE_SCALE_FIELD_NUMBER: _ClassVar[int]
    GUIDANCE_SCALE_LOW_NOISE_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    SHIFT_FIELD_NUMBER: _ClassVar[int]
    STEP_REUSE_FIELD_NUMBER: _ClassVar[int]
    step_count: int
    guidance_scale: float
    guidance_scale_low_noise: float
    seed: int
    shift: float
    step_reuse: StepReuse
    def __init__(self, step_count: _Optional[int] = ..., guidance_scale: _Optional[float] = ..., guidance_scale_low_noise: _Optional[float] = ..., seed: _Optional[int] = ..., shift: _Optional[float] = ..., step_reuse: _Optional[_Union[StepReuse, str]] = ...) -> None: ...

class StreamSpec(_message.Message):
    __slots__ = ("preview_every_step_count", "frame_encoding", "max_stall_duration", "resume_window", "video_container", "video_codec", "omit_frames")
    PREVIEW_EVERY_STEP_COUNT_FIELD_NUMBER: _ClassVar[int]
    FRAME_ENCODING_FIELD_NUMBER: _ClassVar[int]
    MAX_STALL_DURATION_FIELD_NUMBER: _ClassVar[int]
    RESUME_WINDOW_FIELD_NUMBER: _ClassVar[int]
    VIDEO_CONTAINER_FIELD_NUMBER: _ClassVar[int]
    VIDEO_CODEC_FIELD_NUMBER: _ClassVar[int]
    OMIT_FRAMES_FIELD_NUMBER: _ClassVar[int]
    preview_every_step_count: int
    frame_encoding: _media_pb2.FrameEncoding
    max_stall_duration: _duration_pb2.Duration
    resume_window: _duration_pb2.Duration
    video_container: _media_pb2.VideoContainer
    video_codec: _media_pb2.VideoCodec
    omit_frames: bool
    def __init__(self, preview_every_step_count: _Optional[int] = ..., frame_encoding: _Optional[_Union[_media_pb2.FrameEncoding, str]] = ..., max_stall_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., resume_window: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., video_container: _Optional[_Union[_media_pb2.VideoContainer, str]] = ..., video_codec: _Optional[_Union[_media_pb2.VideoCodec, str]] = ..., omit_frames: bool = ...) -> None: ...

class GenerateResponse(_message.Message):
    __slots__ = ("sequence_number", "elapsed", "accepted", "queue_update", "stage_started", "match_report", "denoise_progress", "frame", "summary", "video_chunk", "attempt_ended", "segment_started", "segment_ended", "resume_token", "attempt", "segment")
    SEQUENCE_NUMBER_FIELD_NUMBER: _ClassVar[int]
    ELAPSED_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    QUEUE_UPDATE_FIELD_NUMBER: _ClassVar[int]
    STAGE_STARTED_FIELD_NUMBER: _ClassVar[int]
    MATCH_REPORT_FIELD_NUMBER: _ClassVar[int]
    DENOISE_PROGRESS_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    VIDEO_CHUNK_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_ENDED_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_STARTED_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_ENDED_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_FIELD_NUMBER: _ClassVar[int]
    sequence_number: int
    elapsed: _duration_pb2.Duration
    accepted: Accepted
    queue_update: QueueUpdate
    stage_started: StageStarted
    match_report: _match_pb2.MatchReport
    denoise_progress: DenoiseProgress
    frame: Frame
    summary: Summary
    video_chunk: VideoChunk
    attempt_ended: _attempts_pb2.AttemptResult
    segment_started: _segments_pb2.SegmentStarted
    segment_ended: _segments_pb2.SegmentResult
    resume_token: str
    attempt: int
    segment: int
    def __init__(self, sequence_number: _Optional[int] = ..., elapsed: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., accepted: _Optional[_Union[Accepted, _Mapping]] = ..., queue_update: _Optional[_Union[QueueUpdate, _Mapping]] = ..., stage_started: _Optional[_Union[StageStarted, _Mapping]] = ..., match_report: _Optional[_Union[_match_pb2.MatchReport, _Mapping]] = ..., denoise_progress: _Optional[_Union[DenoiseProgress, _Mapping]] = ..., frame: _Optional[_Union[Frame, _Mapping]] = ..., summary: _Optional[_Union[Summary, _Mapping]] = ..., video_chunk: _Optional[_Union[VideoChunk, _Mapping]] = ..., attempt_ended: _Optional[_Union[_attempts_pb2.AttemptResult, _Mapping]] = ..., segment_started: _Optional[_Union[_segments_pb2.SegmentStarted, _Mapping]] = ..., segment_ended: _Optional[_Union[_segments_pb2.SegmentResult, _Mapping]] = ..., resume_token: _Optional[str] = ..., attempt: _Optional[int] = ..., segment: _Optional[int] = ...) -> None: ...

class Accepted(_message.Message):
    __slots__ = ("request_id", "settings", "warnings", "resume_window", "estimate", "attempts")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    RESUME_WINDOW_FIELD_NUMBER: _ClassVar[int]
    ESTIMATE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    settings: GenerateSettings
    warnings: _containers.RepeatedScalarFieldContainer[str]
    resume_window: _duration_pb2.Duration
    estimate: Estimate
    attempts: _attempts_pb2.Attempts
    def __init__(self, request_id: _Optional[str] = ..., settings: _Optional[_Union[GenerateSettings, _Mapping]] = ..., warnings: _Optional[_Iterable[str]] = ..., resume_window: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., estimate: _Optional[_Union[Estimate, _Mapping]] = ..., attempts: _Optional[_Union[_attempts_pb2.Attempts, _Mapping]] = ...) -> None: ...

class Estimate(_message.Message):
    __slots__ = ("work_duration", "wait_duration", "peak_memory_bytes")
    WORK_DURATION_FIELD_NUMBER: _ClassVar[int]
    WAIT_DURATION_FIELD_NUMBER: _ClassVar[int]
    PEAK_MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    work_duration: _duration_pb2.Duration
    wait_duration: _duration_pb2.Duration
    peak_memory_bytes: int
    def __init__(self, work_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., wait_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., peak_memory_bytes: _Optional[int] = ...) -> None: ...

class GenerateSettings(_message.Message):
    __slots__ = ("width_px", "height_px", "frame_count", "frame_rate", "step_count", "guidance_scale", "guidance_scale_low_noise", "seed", "shift", "negative_prompt", "crop", "picture_fit", "step_reuse", "segments")
    WIDTH_PX_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_PX_FIELD_NUMBER: _ClassVar[int]
    FRAME_COUNT_FIELD_NUMBER: _ClassVar[int]
    FRAME_RATE_FIELD_NUMBER: _ClassVar[int]
    STEP_COUNT_FIELD_NUMBER: _ClassVar[int]
    GUIDANCE_SCALE_FIELD_NUMBER: _ClassVar[int]
    GUIDANCE_SCALE_LOW_NOISE_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    SHIFT_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_PROMPT_FIELD_NUMBER: _ClassVar[int]
    CROP_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIT_FIELD_NUMBER: _ClassVar[int]
    STEP_REUSE_FIELD_NUMBER: _ClassVar[int]
    SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    width_px: int
    height_px: int
    frame_count: int
    frame_rate: float
    step_count: int
    guidance_scale: float
    guidance_scale_low_noise: float
    seed: int
    shift: float
    negative_prompt: str
    crop: _media_pb2.Box
    picture_fit: _media_pb2.PictureFit
    step_reuse: StepReuse
    segments: _containers.RepeatedCompositeFieldContainer[_segments_pb2.SegmentSettings]
    def __init__(self, width_px: _Optional[int] = ..., height_px: _Optional[int] = ..., frame_count: _Optional[int] = ..., frame_rate: _Optional[float] = ..., step_count: _Optional[int] = ..., guidance_scale: _Optional[float] = ..., guidance_scale_low_noise: _Optional[float] = ..., seed: _Optional[int] = ..., shift: _Optional[float] = ..., negative_prompt: _Optional[str] = ..., crop: _Optional[_Union[_media_pb2.Box, _Mapping]] = ..., picture_fit: _Optional[_Union[_media_pb2.PictureFit, str]] = ..., step_reuse: _Optional[_Union[StepReuse, str]] = ..., segments: _Optional[_Iterable[_Union[_segments_pb2.SegmentSettings, _Mapping]]] = ...) -> None: ...

class QueueUpdate(_message.Message):
    __slots__ = ("position", "wait_duration")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    WAIT_DURATION_FIELD_NUMBER: _ClassVar[int]
    position: int
    wait_duration: _duration_pb2.Duration
    def __init__(self, position: _Optional[int] = ..., wait_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class StageStarted(_message.Message):
    __slots__ = ("stage",)
    STAGE_FIELD_NUMBER: _ClassVar[int]
    stage: Stage
    def __init__(self, stage: _Optional[_Union[Stage, str]] = ...) -> None: ...

class DenoiseProgress(_message.Message):
    __slots__ = ("completed_step_count", "step_count", "expert", "step_duration", "preview", "work")
    COMPLETED_STEP_COUNT_FIELD_NUMBER: _ClassVar[int]
    STEP_COUNT_FIELD_NUMBER: _ClassVar[int]
    EXPERT_FIELD_NUMBER: _ClassVar[int]
    STEP_DURATION_FIELD_NUMBER: _ClassVar[int]
    PREVIEW_FIELD_NUMBER: _ClassVar[int]
    WORK_FIELD_NUMBER: _ClassVar[int]
    completed_step_count: int
    step_count: int
    expert: Expert
    step_duration: _duration_pb2.Duration
    preview: Preview
    work: StepWork
    def __init__(self, completed_step_count: _Optional[int] = ..., step_count: _Optional[int] = ..., expert: _Optional[_Union[Expert, str]] = ..., step_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., preview: _Optional[_Union[Preview, _Mapping]] = ..., work: _Optional[_Union[StepWork, str]] = ...) -> None: ...

class Preview(_message.Message):
    __slots__ = ("data", "width_px", "height_px")
    DATA_FIELD_NUMBER: _ClassVar[int]
    WIDTH_PX_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_PX_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    width_px: int
    height_px: int
    def __init__(self, data: _Optional[bytes] = ..., width_px: _Optional[int] = ..., height_px: _Optional[int] = ...) -> None: ...

class Frame(_message.Message):
    __slots__ = ("index", "encoding", "data", "width_px", "height_px")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    WIDTH_PX_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_PX_FIELD_NUMBER: _ClassVar[int]
    index: int
    encoding: _media_pb2.FrameEncoding
    data: bytes
    width_px: int
    height_px: int
    def __init__(self, index: _Optional[int] = ..., encoding: _Optional[_Union[_media_pb2.FrameEncoding, str]] = ..., data: _Optional[bytes] = ..., width_px: _Optional[int] = ..., height_px: _Optional[int] = ...) -> None: ...

class VideoChunk(_message.Message):
    __slots__ = ("index", "data", "frame_count", "media_type")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    FRAME_COUNT_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    index: int
    data: bytes
    frame_count: int
    media_type: str
    def __init__(self, index: _Optional[int] = ..., data: _Optional[bytes] = ..., frame_count: _Optional[int] = ..., media_type: _Optional[str] = ...) -> None: ...

class Summary(_message.Message):
    __slots__ = ("request_id", "settings", "bundle_digest", "checkpoint_digest", "stage_timings", "queue_duration", "work_duration", "first_frame_duration", "peak_memory_bytes", "first_frame_psnr_db", "match_report", "warnings", "frame_matches", "diagnosis", "success", "attempts", "delivered_attempt", "attempts_end", "step_counts", "segments", "chain_drift", "chain_stop")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    STAGE_TIMINGS_FIELD_NUMBER: _ClassVar[int]
    QUEUE_DURATION_FIELD_NUMBER: _ClassVar[int]
    WORK_DURATION_FIELD_NUMBER: _ClassVar[int]
    FIRST_FRAME_DURATION_FIELD_NUMBER: _ClassVar[int]
    PEAK_MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    FIRST_FRAME_PSNR_DB_FIELD_NUMBER: _ClassVar[int]
    MATCH_REPORT_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    FRAME_MATCHES_FIELD_NUMBER: _ClassVar[int]
    DIAGNOSIS_FIELD_NUMBER: _ClassVar[int]
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    DELIVERED_ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_END_FIELD_NUMBER: _ClassVar[int]
    STEP_COUNTS_FIELD_NUMBER: _ClassVar[int]
    SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    CHAIN_DRIFT_FIELD_NUMBER: _ClassVar[int]
    CHAIN_STOP_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    settings: GenerateSettings
    bundle_digest: str
    checkpoint_digest: str
    stage_timings: _containers.RepeatedCompositeFieldContainer[StageTiming]
    queue_duration: _duration_pb2.Duration
    work_duration: _duration_pb2.Duration
    first_frame_duration: _duration_pb2.Duration
    peak_memory_bytes: int
    first_frame_psnr_db: float
    match_report: _match_pb2.MatchReport
    warnings: _containers.RepeatedScalarFieldContainer[str]
    frame_matches: _containers.RepeatedCompositeFieldContainer[FrameMatch]
    diagnosis: _diagnosis_pb2.Diagnosis
    success: _match_pb2.SuccessEstimate
    attempts: _containers.RepeatedCompositeFieldContainer[_attempts_pb2.AttemptResult]
    delivered_attempt: int
    attempts_end: _attempts_pb2.AttemptsEnd
    step_counts: _containers.RepeatedCompositeFieldContainer[StepCount]
    segments: _containers.RepeatedCompositeFieldContainer[_segments_pb2.SegmentResult]
    chain_drift: _segments_pb2.ChainDrift
    chain_stop: _segments_pb2.ChainStop
    def __init__(self, request_id: _Optional[str] = ..., settings: _Optional[_Union[GenerateSettings, _Mapping]] = ..., bundle_digest: _Optional[str] = ..., checkpoint_digest: _Optional[str] = ..., stage_timings: _Optional[_Iterable[_Union[StageTiming, _Mapping]]] = ..., queue_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., work_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., first_frame_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., peak_memory_bytes: _Optional[int] = ..., first_frame_psnr_db: _Optional[float] = ..., match_report: _Optional[_Union[_match_pb2.MatchReport, _Mapping]] = ..., warnings: _Optional[_Iterable[str]] = ..., frame_matches: _Optional[_Iterable[_Union[FrameMatch, _Mapping]]] = ..., diagnosis: _Optional[_Union[_diagnosis_pb2.Diagnosis, _Mapping]] = ..., success: _Optional[_Union[_match_pb2.SuccessEstimate, _Mapping]] = ..., attempts: _Optional[_Iterable[_Union[_attempts_pb2.AttemptResult, _Mapping]]] = ..., delivered_attempt: _Optional[int] = ..., attempts_end: _Optional[_Union[_attempts_pb2.AttemptsEnd, str]] = ..., step_counts: _Optional[_Iterable[_Union[StepCount, _Mapping]]] = ..., segments: _Optional[_Iterable[_Union[_segments_pb2.SegmentResult, _Mapping]]] = ..., chain_drift: _Optional[_Union[_segments_pb2.ChainDrift, _Mapping]] = ..., chain_stop: _Optional[_Union[_segments_pb2.ChainStop, _Mapping]] = ...) -> None: ...

class StepCount(_message.Message):
    __slots__ = ("work", "count")
    WORK_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    work: StepWork
    count: int
    def __init__(self, work: _Optional[_Union[StepWork, str]] = ..., count: _Optional[int] = ...) -> None: ...

class FrameMatch(_message.Message):
    __slots__ = ("frame_index", "score")
    FRAME_INDEX_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    frame_index: int
    score: float
    def __init__(self, frame_index: _Optional[int] = ..., score: _Optional[float] = ...) -> None: ...

class StageTiming(_message.Message):
    __slots__ = ("stage", "duration")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    stage: Stage
    duration: _duration_pb2.Duration
    def __init__(self, stage: _Optional[_Union[Stage, str]] = ..., duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...
