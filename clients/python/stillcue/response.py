"""Converts protobuf messages to events and capabilities. Pure functions."""

from __future__ import annotations

from dataclasses import replace

from stillcue import attempts, capabilities, events, segments
from stillcue.reports import decode_box, decode_diagnosis, decode_match_report, decode_success
from stillcue.segment_messages import (
    decode_chain_drift,
    decode_chain_stop,
    decode_segment_result,
    decode_segment_settings,
)
from stillcue.v1 import attempts_pb2, capabilities_pb2, generate_pb2, media_pb2
from stillcue.wire_durations import seconds_of
from stillcue.wire_enums import member


def decode_event(response: generate_pb2.GenerateResponse) -> events.Event | None:
    """Returns the event of a message; None for an event that this client does not know."""
    attempt, segment = response.attempt, response.segment
    match response.WhichOneof("event"):
        case "accepted":
            return _accepted(response.accepted)
        case "queue_update":
            update = response.queue_update
            return events.QueueUpdate(update.position, _known_wait(update))
        case "stage_started":
            return events.StageStarted(_stage(response.stage_started.stage), attempt, segment)
        case "match_report":
            return replace(decode_match_report(response.match_report), attempt=attempt, segment=segment)
        case "denoise_progress":
            return _denoise_progress(response.denoise_progress, attempt, segment)
        case "frame":
            frame = response.frame
            encoding = _encoding(frame.encoding)
            return events.Frame(frame.index, encoding, frame.data, frame.width_px, frame.height_px, attempt, segment)
        case "video_chunk":
            chunk = response.video_chunk
            return events.VideoChunk(chunk.index, chunk.data, chunk.frame_count, chunk.media_type, attempt, segment)
        case "segment_started":
            started = response.segment_started
            return segments.SegmentStarted(started.number, started.segment_count, attempt)
        case "segment_ended":
            return decode_segment_result(response.segment_ended, attempt)
        case "attempt_ended":
            return _attempt_result(response.attempt_ended)
        case "summary":
            return _summary(response.summary)
    return None


def decode_capabilities(message: capabilities_pb2.GetCapabilitiesResponse) -> capabilities.Capabilities:
    """Returns the capabilities of a message."""
    model, defaults, limits = message.model, message.sampling_defaults, message.limits
    return capabilities.Capabilities(
        server_version=message.server_version,
        model=capabilities.Model(
            name=model.name,
            family=member(capabilities.ModelFamily, capabilities_pb2.ModelFamily, "MODEL_FAMILY", model.family),
            bundle_digest=model.bundle_digest,
            checkpoint_digest=model.checkpoint_digest,
            runtime=model.runtime,
            license=model.license,
        ),
        geometries=tuple(_geometry(item) for item in message.geometries),
        sampling_defaults=capabilities.SamplingDefaults(
            step_count=defaults.step_count,
            guidance_scale=defaults.guidance_scale,
            guidance_scale_low_noise=_low_noise(defaults),
            shift=defaults.shift,
            frame_rate=defaults.frame_rate,
            negative_prompt=defaults.negative_prompt,
            step_reuse=_step_reuse(defaults.step_reuse),
        ),
        limits=capabilities.Limits(
            max_image_bytes=limits.max_image_bytes,
            max_image_pixel_count=limits.max_image_pixel_count,
            max_step_count=limits.max_step_count,
            max_prompt_character_count=limits.max_prompt_character_count,
            queue_capacity=limits.queue_capacity,
        ),
        match_supported=message.match_supported,
        frame_encodings=tuple(_encoding(number) for number in message.frame_encodings),
        notices=tuple(message.notices),
        memory_budget_bytes=message.memory_budget_bytes if message.HasField("memory_budget_bytes") else None,
        memory_plans=tuple(_memory_plan(item) for item in message.memory_plans),
        video_codecs=tuple(
            member(events.VideoCodec, media_pb2.VideoCodec, "VIDEO_CODEC", number) for number in message.video_codecs
        ),
        attempts=capabilities.AttemptSupport(message.attempts.accept_from, message.attempts.maximum_count)
        if message.HasField("attempts")
        else None,
        step_reuse_supported=message.step_reuse_supported,
        device=message.device,
        chains=capabilities.ChainSupport(
            message.chains.max_segment_count, message.chains.given_frame_count, message.chains.max_frame_count
        )
        if message.HasField("chains")
        else None,
    )


def _geometry(message: capabilities_pb2.Geometry) -> capabilities.Geometry:
    return capabilities.Geometry(message.width_px, message.height_px, message.frame_count)


def _memory_plan(message: capabilities_pb2.MemoryPlan) -> capabilities.MemoryPlan:
    return capabilities.MemoryPlan(
        geometry=_geometry(message.geometry),
        stages=tuple(_stage_memory(item) for item in message.stages),
        peak_bytes=message.peak_bytes,
        swapped_graphs=tuple(message.swapped_graphs),
    )


def _stage_memory(message: capabilities_pb2.StageMemory) -> capabilities.StageMemory:
    return capabilities.StageMemory(
        stage=_stage(message.stage),
        expert=member(events.Expert, generate_pb2.Expert, "EXPERT", message.expert) if message.expert else None,
        resident_graphs=tuple(message.resident_graphs),
        loaded_graphs=tuple(message.loaded_graphs),
        prefetched_graphs=tuple(message.prefetched_graphs),
        weight_bytes=message.weight_bytes,
        scratch_bytes=message.scratch_bytes,
        buffer_bytes=message.buffer_bytes,
        peak_bytes=message.peak_bytes,
    )


def _settings(message: generate_pb2.GenerateSettings) -> events.Settings:
    return events.Settings(
        width_px=message.width_px,
        height_px=message.height_px,
        frame_count=message.frame_count,
        frame_rate=message.frame_rate,
        step_count=message.step_count,
        guidance_scale=message.guidance_scale,
        guidance_scale_low_noise=_low_noise(message),
        seed=message.seed,
        shift=message.shift,
        negative_prompt=message.negative_prompt,
        crop=decode_box(message.crop),
        picture_fit=member(events.PictureFit, media_pb2.PictureFit, "PICTURE_FIT", message.picture_fit),
        step_reuse=_step_reuse(message.step_reuse),
        segments=tuple(map(decode_segment_settings, message.segments)),
    )


def _accepted(message: generate_pb2.Accepted) -> events.Accepted:
    return events.Accepted(
        message.request_id,
        _settings(message.settings),
        tuple(message.warnings),
        _estimate(message.estimate),
        _attempts(message.attempts) if message.HasField("attempts") else None,
    )


def _attempts(message: attempts_pb2.Attempts) -> attempts.Attempts:
    return attempts.Attempts(
        maximum_count=message.maximum_count,
        accept=message.accept if message.HasField("accept") else None,
        frames=member(attempts.AttemptFrames, attempts_pb2.AttemptFrames, "ATTEMPT_FRAMES", message.frames),
    )


def _attempt_result(message: attempts_pb2.AttemptResult) -> attempts.AttemptResult:
    return attempts.AttemptResult(
        number=message.number,
        seed=message.seed,
        accepted=message.accepted,
        success=decode_success(message.success) if message.HasField("success") else None,
        work_seconds=seconds_of(message.work_duration),
    )


def _denoise_progress(message: generate_pb2.DenoiseProgress, attempt: int, segment: int) -> events.DenoiseProgress:
    preview = message.preview
    return events.DenoiseProgress(
        completed_step_count=message.completed_step_count,
        step_count=message.step_count,
        expert=member(events.Expert, generate_pb2.Expert, "EXPERT", message.expert),
        step_seconds=seconds_of(message.step_duration),
        preview=events.Preview(preview.data, preview.width_px, preview.height_px)
        if message.HasField("preview")
        else None,
        attempt=attempt,
        work=_step_work(message.work),
        segment=segment,
    )


def _summary(message: generate_pb2.Summary) -> events.Summary:
    return events.Summary(
        request_id=message.request_id,
        settings=_settings(message.settings),
        bundle_digest=message.bundle_digest,
        checkpoint_digest=message.checkpoint_digest,
        stage_seconds={_stage(item.stage): seconds_of(item.duration) for item in message.stage_timings},
        queue_seconds=seconds_of(message.queue_duration),
        work_seconds=seconds_of(message.work_duration),
        first_frame_seconds=seconds_of(message.first_frame_duration),
        peak_memory_bytes=message.peak_memory_bytes,
        first_frame_psnr_db=message.first_frame_psnr_db,
        match_report=decode_match_report(message.match_report) if message.HasField("match_report") else None,
        warnings=tuple(message.warnings),
        frame_matches=tuple(events.FrameMatch(item.frame_index, item.score) for item in message.frame_matches),
        diagnosis=decode_diagnosis(message.diagnosis) if message.HasField("diagnosis") else None,
        success=decode_success(message.success) if message.HasField("success") else None,
        attempts=tuple(map(_attempt_result, message.attempts)),
        delivered_attempt=message.delivered_attempt or 1,
        attempts_end=member(attempts.AttemptsEnd, attempts_pb2.AttemptsEnd, "ATTEMPTS_END", message.attempts_end)
        if message.attempts_end
        else None,
        step_counts={_step_work(item.work): item.count for item in message.step_counts},
        segments=tuple(map(decode_segment_result, message.segments)),
        chain_drift=decode_chain_drift(message.chain_drift) if message.HasField("chain_drift") else None,
        chain_stop=decode_chain_stop(message.chain_stop) if message.HasField("chain_stop") else None,
    )


def _low_noise(message: generate_pb2.GenerateSettings | capabilities_pb2.SamplingDefaults) -> float | None:
    return message.guidance_scale_low_noise if message.HasField("guidance_scale_low_noise") else None


def _estimate(message: generate_pb2.Estimate) -> events.Estimate:
    return events.Estimate(
        work_seconds=seconds_of(message.work_duration) if message.HasField("work_duration") else None,
        wait_seconds=_known_wait(message),
        peak_memory_bytes=message.peak_memory_bytes if message.HasField("peak_memory_bytes") else None,
    )


def _known_wait(message: generate_pb2.Estimate | generate_pb2.QueueUpdate) -> float | None:
    return seconds_of(message.wait_duration) if message.HasField("wait_duration") else None


def _stage(number: int) -> events.Stage:
    return member(events.Stage, generate_pb2.Stage, "STAGE", number)


def _step_reuse(number: int) -> events.StepReuse:
    return member(events.StepReuse, generate_pb2.StepReuse, "STEP_REUSE", number)


def _step_work(number: int) -> events.StepWork:
    return member(events.StepWork, generate_pb2.StepWork, "STEP_WORK", number)


def _encoding(number: int) -> events.FrameEncoding:
    return member(events.FrameEncoding, media_pb2.FrameEncoding, "FRAME_ENCODING", number)
