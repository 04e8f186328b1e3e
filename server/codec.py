"""Wire <-> domain: the only file that knows both protobuf messages and ``engine.types``.

Checks what only the wire can get wrong (ids, enum numbers, durations); the values themselves are checked by
``Engine.prepare``. Nothing here waits or touches a call.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from google.protobuf.duration_pb2 import Duration

from engine import encode_frame
from engine.errors import InvalidJob, Violation
from engine.types import (
    Capabilities,
    Expert,
    Family,
    FrameEncoding,
    FrameReady,
    Image,
    ImageFormat,
    Job,
    JobDone,
    MatchBasis,
    MatchMode,
    MatchPolicy,
    MatchReport,
    MatchVerdict,
    SamplingSpec,
    Settings,
    Stage,
    StageStarted,
    StepDone,
    VideoSpec,
)
from server import __version__
from stillcue.v1 import capabilities_pb2, generate_pb2, match_pb2, media_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping

_T = TypeVar("_T")

IMAGE_FORMATS: dict[int, ImageFormat | None] = {
    media_pb2.IMAGE_FORMAT_UNSPECIFIED: None,
    media_pb2.IMAGE_FORMAT_PNG: ImageFormat.PNG,
    media_pb2.IMAGE_FORMAT_JPEG: ImageFormat.JPEG,
    media_pb2.IMAGE_FORMAT_WEBP: ImageFormat.WEBP,
}
FRAME_ENCODINGS: dict[int, FrameEncoding] = {
    media_pb2.FRAME_ENCODING_UNSPECIFIED: FrameEncoding.PNG,
    media_pb2.FRAME_ENCODING_RAW_RGB: FrameEncoding.RAW_RGB,
    media_pb2.FRAME_ENCODING_PNG: FrameEncoding.PNG,
    media_pb2.FRAME_ENCODING_JPEG: FrameEncoding.JPEG,
    media_pb2.FRAME_ENCODING_WEBP: FrameEncoding.WEBP,
}
MATCH_MODES: dict[int, MatchMode | None] = {
    match_pb2.MATCH_MODE_UNSPECIFIED: None,
    match_pb2.MATCH_MODE_OFF: MatchMode.OFF,
    match_pb2.MATCH_MODE_REPORT: MatchMode.REPORT,
    match_pb2.MATCH_MODE_REQUIRE: MatchMode.REQUIRE,
}
WIRE_FRAME_ENCODINGS: dict[FrameEncoding, media_pb2.FrameEncoding] = {
    FrameEncoding.RAW_RGB: media_pb2.FRAME_ENCODING_RAW_RGB,
    FrameEncoding.PNG: media_pb2.FRAME_ENCODING_PNG,
    FrameEncoding.JPEG: media_pb2.FRAME_ENCODING_JPEG,
    FrameEncoding.WEBP: media_pb2.FRAME_ENCODING_WEBP,
}
WIRE_STAGES: dict[Stage, generate_pb2.Stage] = {
    Stage.MATCH: generate_pb2.STAGE_MATCH,
    Stage.ENCODE_TEXT: generate_pb2.STAGE_ENCODE_TEXT,
    Stage.ENCODE_IMAGE: generate_pb2.STAGE_ENCODE_IMAGE,
    Stage.DENOISE: generate_pb2.STAGE_DENOISE,
    Stage.DECODE: generate_pb2.STAGE_DECODE,
}
WIRE_EXPERTS: dict[Expert, generate_pb2.Expert] = {
    Expert.HIGH_NOISE: generate_pb2.EXPERT_HIGH_NOISE,
    Expert.LOW_NOISE: generate_pb2.EXPERT_LOW_NOISE,
    Expert.SINGLE: generate_pb2.EXPERT_SINGLE,
}
WIRE_VERDICTS: dict[MatchVerdict, match_pb2.MatchVerdict] = {
    MatchVerdict.GOOD: match_pb2.MATCH_VERDICT_GOOD,
    MatchVerdict.DOUBTFUL: match_pb2.MATCH_VERDICT_DOUBTFUL,
    MatchVerdict.POOR: match_pb2.MATCH_VERDICT_POOR,
}
WIRE_BASES: dict[MatchBasis, match_pb2.MatchBasis] = {
    MatchBasis.UNCALIBRATED: match_pb2.MATCH_BASIS_UNCALIBRATED,
    MatchBasis.CALIBRATED: match_pb2.MATCH_BASIS_CALIBRATED,
}
WIRE_FAMILIES: dict[Family, capabilities_pb2.ModelFamily] = {
    Family.WAN22_I2V_A14B: capabilities_pb2.MODEL_FAMILY_WAN22_I2V_A14B,
    Family.WAN22_TI2V_5B: capabilities_pb2.MODEL_FAMILY_WAN22_TI2V_5B,
}

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True)
class GenerateCall:
    """A Generate request as the domain sees it. ``violations`` is what the wire got wrong."""

    request_id: str
    job: Job
    frame_encoding: FrameEncoding
    max_stall_seconds: float
    violations: tuple[Violation, ...]


def decode_generate(request: generate_pb2.GenerateRequest, max_stall_seconds: float) -> GenerateCall:
    """Reads a Generate request; a request may ask for less than ``max_stall_seconds``, not for more."""
    violations: list[Violation] = []
    request_id = request.request_id or str(uuid.uuid4())
    if not _UUID.fullmatch(request_id):
        request_id = str(uuid.uuid4())
        violations.append(
            Violation(
                "request_id", "is not a UUID such as 6f1c2f6e-0d0c-4c53-9d4a-0a8f3a1f5c11; send one, or leave it empty"
            )
        )
    image = _decode_image(request.image, violations)
    mode = _decode_enum(MATCH_MODES, request.match.mode, "match.mode", violations)
    encoding = _decode_enum(FRAME_ENCODINGS, request.stream.frame_encoding, "stream.frame_encoding", violations)
    if request.stream.HasField("max_stall_duration"):
        seconds = _decode_seconds(request.stream.max_stall_duration, "stream.max_stall_duration", violations)
        max_stall_seconds = min(max_stall_seconds, seconds)
    job = Job(
        image=image,
        prompt=request.prompt,
        negative_prompt=request.negative_prompt if request.HasField("negative_prompt") else None,
        video=_decode_video(request.video),
        sampling=_decode_sampling(request.sampling),
        match=MatchPolicy(mode, request.match.minimum_score),
        preview_every_step_count=request.stream.preview_every_step_count,
    )
    return GenerateCall(request_id, job, encoding or FrameEncoding.PNG, max_stall_seconds, tuple(violations))


def decode_score_match(request: match_pb2.ScoreMatchRequest) -> tuple[Image, str]:
    """Reads a ScoreMatch request. Raises ``InvalidJob``."""
    violations: list[Violation] = []
    image = _decode_image(request.image, violations)
    if violations:
        raise InvalidJob(*violations)
    return image, request.prompt


def accepted_response(request_id: str, settings: Settings, warnings: tuple[str, ...]) -> generate_pb2.GenerateResponse:
    """The first event of a stream."""
    accepted = generate_pb2.Accepted(request_id=request_id, settings=_encode_settings(settings), warnings=warnings)
    return generate_pb2.GenerateResponse(accepted=accepted)


def queue_update_response(position: int) -> generate_pb2.GenerateResponse:
    """A job moved in the queue."""
    return generate_pb2.GenerateResponse(queue_update=generate_pb2.QueueUpdate(position=position))


def event_response(
    event: StageStarted | MatchReport | StepDone | FrameReady, frame_encoding: FrameEncoding
) -> generate_pb2.GenerateResponse:
    """An event of the engine. Compresses pictures, so call it off the event loop where ``pixel_bytes`` is not 0."""
    match event:
        case StageStarted():
            started = generate_pb2.StageStarted(stage=WIRE_STAGES[event.stage])
            return generate_pb2.GenerateResponse(stage_started=started)
        case MatchReport():
            return generate_pb2.GenerateResponse(match_report=_encode_match_report(event))
        case StepDone():
            return generate_pb2.GenerateResponse(denoise_progress=_encode_step(event))
        case FrameReady():
            return generate_pb2.GenerateResponse(frame=_encode_frame(event, frame_encoding))


def pixel_bytes(event: StageStarted | MatchReport | StepDone | FrameReady) -> int:
    """Bytes of uncompressed picture that an event holds."""
    match event:
        case FrameReady():
            return event.pixels.nbytes
        case StepDone(preview=preview) if preview is not None:
            return preview.nbytes
        case _:
            return 0


def summary_response(
    done: JobDone, request_id: str, settings: Settings, capabilities: Capabilities, queue_seconds: float
) -> generate_pb2.GenerateResponse:
    """The last event of a stream."""
    summary = generate_pb2.Summary(
        request_id=request_id,
        settings=_encode_settings(settings),
        bundle_digest=capabilities.bundle_digest,
        checkpoint_digest=capabilities.checkpoint_digest,
        stage_timings=[
            generate_pb2.StageTiming(stage=WIRE_STAGES[stage], duration=encode_duration(done.stage_seconds[stage]))
            for stage in Stage
            if stage in done.stage_seconds
        ],
        queue_duration=encode_duration(queue_seconds),
        work_duration=encode_duration(done.work_seconds),
        first_frame_duration=encode_duration(done.first_frame_seconds),
        peak_memory_bytes=done.peak_memory_bytes,
        first_frame_psnr_db=done.first_frame_psnr_db,
        match_report=_encode_match_report(done.match_report) if done.match_report else None,
        warnings=done.warnings,
    )
    return generate_pb2.GenerateResponse(summary=summary)


def score_match_response(report: MatchReport) -> match_pb2.ScoreMatchResponse:
    """The answer of ScoreMatch."""
    return match_pb2.ScoreMatchResponse(report=_encode_match_report(report))


def capabilities_response(capabilities: Capabilities, queue_capacity: int) -> capabilities_pb2.GetCapabilitiesResponse:
    """The answer of GetCapabilities."""
    defaults, limits = capabilities.defaults, capabilities.limits
    return capabilities_pb2.GetCapabilitiesResponse(
        server_version=__version__,
        model=capabilities_pb2.Model(
            name=capabilities.model_name,
            family=WIRE_FAMILIES[capabilities.family],
            bundle_digest=capabilities.bundle_digest,
            checkpoint_digest=capabilities.checkpoint_digest,
            runtime=capabilities.runtime,
            license=capabilities.license,
        ),
        geometries=[
            capabilities_pb2.Geometry(width_px=item.width_px, height_px=item.height_px, frame_count=item.frame_count)
            for item in capabilities.geometries
        ],
        sampling_defaults=capabilities_pb2.SamplingDefaults(
            step_count=defaults.step_count,
            guidance_scale=defaults.guidance_scale,
            guidance_scale_low_noise=defaults.guidance_scale_low_noise,
            shift=defaults.shift,
            frame_rate=defaults.frame_rate,
            negative_prompt=defaults.negative_prompt,
        ),
        limits=capabilities_pb2.Limits(
            max_image_bytes=limits.max_image_bytes,
            max_image_pixel_count=limits.max_image_pixel_count,
            max_step_count=limits.max_step_count,
            max_prompt_character_count=limits.max_prompt_character_count,
            queue_capacity=queue_capacity,
        ),
        match_supported=capabilities.match_supported,
        frame_encodings=list(WIRE_FRAME_ENCODINGS.values()),
        notices=capabilities.notices,
    )


def encode_duration(seconds: float) -> Duration:
    """Seconds as a duration, to the nanosecond."""
    duration = Duration()
    duration.FromNanoseconds(round(seconds * 1e9))
    return duration


def _decode_image(image: media_pb2.Image, violations: list[Violation]) -> Image:
    return Image(image.data, _decode_enum(IMAGE_FORMATS, image.format, "image.format", violations))


def _decode_video(video: generate_pb2.VideoSpec) -> VideoSpec:
    return VideoSpec(
        width_px=video.width_px,
        height_px=video.height_px,
        frame_count=video.frame_count,
        frame_rate=video.frame_rate if video.HasField("frame_rate") else None,
    )


def _decode_sampling(sampling: generate_pb2.SamplingSpec) -> SamplingSpec:
    given: dict[str, int | float] = {field.name: value for field, value in sampling.ListFields()}
    return SamplingSpec(**given)  # type: ignore[arg-type]  # the names are the same on both sides


def _decode_enum(table: Mapping[int, _T], number: int, field: str, violations: list[Violation]) -> _T | None:
    if number not in table:
        known = ", ".join(str(item) for item in table)
        violations.append(Violation(field, f"is {number}; this server knows {known}"))
    return table.get(number)


def _decode_seconds(duration: Duration, field: str, violations: list[Violation]) -> float:
    seconds = duration.seconds + duration.nanos / 1e9
    is_valid = -999_999_999 <= duration.nanos <= 999_999_999 and duration.seconds * duration.nanos >= 0
    if not is_valid or seconds <= 0:
        violations.append(Violation(field, "is not a duration above 0; leave it unset for the server's own"))
    return seconds


def _encode_settings(settings: Settings) -> generate_pb2.GenerateSettings:
    return generate_pb2.GenerateSettings(
        width_px=settings.width_px,
        height_px=settings.height_px,
        frame_count=settings.frame_count,
        frame_rate=settings.frame_rate,
        step_count=settings.step_count,
        guidance_scale=settings.guidance_scale,
        guidance_scale_low_noise=settings.guidance_scale_low_noise,
        seed=settings.seed,
        shift=settings.shift,
        negative_prompt=settings.negative_prompt,
        crop=media_pb2.Box(
            left_px=settings.crop.left_px,
            top_px=settings.crop.top_px,
            width_px=settings.crop.width_px,
            height_px=settings.crop.height_px,
        ),
    )


def _encode_match_report(report: MatchReport) -> match_pb2.MatchReport:
    return match_pb2.MatchReport(
        score=report.score,
        verdict=WIRE_VERDICTS[report.verdict],
        similarity=report.similarity,
        contrast=report.contrast,
        basis=WIRE_BASES[report.basis],
    )


def _encode_step(step: StepDone) -> generate_pb2.DenoiseProgress:
    progress = generate_pb2.DenoiseProgress(
        completed_step_count=step.completed_step_count,
        step_count=step.step_count,
        expert=WIRE_EXPERTS[step.expert],
        step_duration=encode_duration(step.step_seconds),
    )
    if step.preview is not None:
        height_px, width_px, _ = step.preview.shape
        data = encode_frame(step.preview, FrameEncoding.JPEG)
        progress.preview.CopyFrom(generate_pb2.Preview(data=data, width_px=width_px, height_px=height_px))
    return progress


def _encode_frame(frame: FrameReady, encoding: FrameEncoding) -> generate_pb2.Frame:
    height_px, width_px, _ = frame.pixels.shape
    return generate_pb2.Frame(
        index=frame.index,
        encoding=WIRE_FRAME_ENCODINGS[encoding],
        data=encode_frame(frame.pixels, encoding),
        width_px=width_px,
        height_px=height_px,
    )
