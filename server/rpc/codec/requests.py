"""Requests become jobs. Checks ids, enum numbers, durations and tokens; ``Engine.prepare`` checks the other fields."""

from __future__ import annotations

import hashlib
import re
import uuid
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from engine.api.job import ClipPlan, Job, MatchPolicy, SamplingSpec, VideoSpec
from engine.api.media import FrameEncoding, Image
from server.errors.refusals import FieldViolation
from server.jobs.request import JobRequest
from server.jobs.resume_token import ResumeToken
from server.rpc.codec.attempts import decode_attempts
from server.rpc.codec.enums import (
    FRAME_ENCODINGS,
    IMAGE_FORMATS,
    MATCH_MODES,
    PICTURE_FITS,
    STEP_REUSES,
    decode_enum,
)
from server.rpc.codec.fields import GENERATE_PATHS
from server.rpc.codec.segments import decode_segments
from server.rpc.codec.video import VideoFile, VideoWish, choose_video, decode_video
from stillcue.v1 import generate_pb2, match_pb2, media_pb2

if TYPE_CHECKING:
    from google.protobuf.duration_pb2 import Duration

    from engine.api.video import VideoSupport

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True)
class GenerateCall:
    """A Generate request: what the job service gets, and what concerns the stream of this call only."""

    request: JobRequest
    frame_encoding: FrameEncoding
    video: VideoWish | None
    max_stall_seconds: float

    def choose_video(self, support: VideoSupport) -> tuple[JobRequest, VideoFile | None]:
        """The request, with one violation more where this machine cannot make its video file, and that file."""
        chosen = choose_video(self.video, support) if self.video is not None else None
        if isinstance(chosen, FieldViolation):
            return replace(self.request, violations=(*self.request.violations, chosen)), None
        return self.request, chosen


def decode_generate(
    request: generate_pb2.GenerateRequest, max_stall_seconds: float, max_resume_seconds: float
) -> GenerateCall:
    """Reads a Generate request. Longer stalls and resume windows than the maxima are cut to the maxima."""
    violations: list[FieldViolation] = []
    request_id = request.request_id or str(uuid.uuid4())
    if not _UUID.fullmatch(request_id):
        request_id = str(uuid.uuid4())
        violations.append(
            FieldViolation(
                "request_id", "is not a UUID such as 6f1c2f6e-0d0c-4c53-9d4a-0a8f3a1f5c11; send one, or leave it empty"
            )
        )
    image = _decode_image(request.image, violations)
    mode = decode_enum(MATCH_MODES, request.match.mode, "match.mode", violations)
    encoding = decode_enum(FRAME_ENCODINGS, request.stream.frame_encoding, "stream.frame_encoding", violations)
    video = decode_video(request.stream, violations)
    if request.stream.HasField("max_stall_duration"):
        seconds = _decode_seconds(request.stream.max_stall_duration, "stream.max_stall_duration", violations)
        max_stall_seconds = min(max_stall_seconds, seconds)
    window_seconds = _decode_window(request.stream.resume_window, violations)
    attempts = decode_attempts(request.attempts, violations)
    job = Job(
        image=image,
        prompt=request.prompt,
        negative_prompt=request.negative_prompt if request.HasField("negative_prompt") else None,
        video=_decode_video(request.video, violations),
        sampling=_decode_sampling(request.sampling, violations),
        match=MatchPolicy(mode, request.match.minimum_score),
        preview_every_step_count=request.stream.preview_every_step_count,
        segments=decode_segments(request.segments),
    )
    job_request = JobRequest(
        request_id,
        job,
        min(max_resume_seconds, window_seconds),
        resumes=bool(request.resume_token),
        resume_token=_decode_token(request.resume_token, violations),
        violations=tuple(violations),
        paths=GENERATE_PATHS,
        digest=partial(_digest, request),
        attempts=attempts,
        is_whole=bool(request.image.data),
    )
    return GenerateCall(job_request, encoding or FrameEncoding.PNG, video, max_stall_seconds)


def _digest(request: generate_pb2.GenerateRequest) -> bytes:
    """The SHA-256 that tells equal requests from others. A resume token does not make another request of it."""
    if request.resume_token:
        same = generate_pb2.GenerateRequest()
        same.CopyFrom(request)
        same.ClearField("resume_token")
        request = same
    return hashlib.sha256(request.SerializeToString(deterministic=True)).digest()


@dataclass(frozen=True, slots=True)
class ScoreCall:
    """A ScoreMatch request. ``violations`` are the wrong fields that decoding found."""

    image: Image
    prompt: str
    plan: ClipPlan
    include_heat_map: bool
    include_crop: bool
    violations: tuple[FieldViolation, ...]


def decode_score_match(request: match_pb2.ScoreMatchRequest) -> ScoreCall:
    """Reads a ScoreMatch request."""
    violations: list[FieldViolation] = []
    video = VideoSpec(
        width_px=request.width_px,
        height_px=request.height_px,
        frame_count=request.frame_count,
        frame_rate=request.frame_rate if request.HasField("frame_rate") else None,
        picture_fit=decode_enum(PICTURE_FITS, request.picture_fit, "picture_fit", violations),
    )
    plan = ClipPlan(
        video=video,
        guidance_scale=request.guidance_scale if request.HasField("guidance_scale") else None,
        negative_prompt=request.negative_prompt if request.HasField("negative_prompt") else None,
    )
    image = _decode_image(request.image, violations)
    return ScoreCall(image, request.prompt, plan, request.include_heat_map, request.include_crop, tuple(violations))


def _decode_image(image: media_pb2.Image, violations: list[FieldViolation]) -> Image:
    return Image(image.data, decode_enum(IMAGE_FORMATS, image.format, "image.format", violations))


def _decode_video(video: generate_pb2.VideoSpec, violations: list[FieldViolation]) -> VideoSpec:
    return VideoSpec(
        width_px=video.width_px,
        height_px=video.height_px,
        frame_count=video.frame_count,
        frame_rate=video.frame_rate if video.HasField("frame_rate") else None,
        picture_fit=decode_enum(PICTURE_FITS, video.picture_fit, "video.picture_fit", violations),
        seconds=video.seconds if video.HasField("seconds") else None,
    )


def _decode_sampling(sampling: generate_pb2.SamplingSpec, violations: list[FieldViolation]) -> SamplingSpec:
    numbers = {field.name: value for field, value in sampling.ListFields() if field.enum_type is None}
    reuse = decode_enum(STEP_REUSES, sampling.step_reuse, "sampling.step_reuse", violations)
    return SamplingSpec(**numbers, reuse=reuse)  # the names of numbers are the same on both sides


def _decode_token(text: str, violations: list[FieldViolation]) -> ResumeToken | None:
    if not text:
        return None
    try:
        return ResumeToken.decode(text)
    except ValueError:
        violations.append(
            FieldViolation(
                "resume_token", "is none of this service; send that of the last event received, or leave it empty"
            )
        )
        return None


def _decode_window(duration: Duration, violations: list[FieldViolation]) -> float:
    if not duration.seconds and not duration.nanos:
        return 0.0
    return _decode_seconds(duration, "stream.resume_window", violations)


def _decode_seconds(duration: Duration, field: str, violations: list[FieldViolation]) -> float:
    seconds = duration.seconds + duration.nanos / 1e9
    is_valid = -999_999_999 <= duration.nanos <= 999_999_999 and duration.seconds * duration.nanos >= 0
    if not is_valid or seconds <= 0:
        violations.append(FieldViolation(field, "is not a duration above 0; leave it unset for the server's own"))
    return seconds
