"""Events and reports become messages. Nothing here waits or touches a call."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration

from engine import encode_frame
from engine.api.capabilities import Capabilities, Geometry, MemoryPlan, StageMemory
from engine.api.events import FrameReady, JobDone, Stage, StageStarted, StepDone
from engine.api.job import PreparedJob, Settings
from engine.api.match_report import MatchReport
from engine.api.media import FrameEncoding
from server import __version__
from server.jobs.estimates import Estimate
from server.rpc.codec.enums import WIRE_EXPERTS, WIRE_FAMILIES, WIRE_FRAME_ENCODINGS, WIRE_PICTURE_FITS, WIRE_STAGES
from server.rpc.codec.outgoing import Outgoing
from server.rpc.codec.reports import encode_box, encode_diagnosis, encode_match_report
from server.rpc.codec.requests import GenerateCall
from stillcue.v1 import capabilities_pb2, generate_pb2, match_pb2


def accepted_response(
    call: GenerateCall, prepared: PreparedJob, estimate: Estimate, wait_seconds: float | None
) -> Outgoing:
    """The first event of a stream."""
    accepted = generate_pb2.Accepted(
        request_id=call.request_id,
        settings=_encode_settings(prepared.settings),
        warnings=prepared.warnings,
        estimate=generate_pb2.Estimate(
            work_duration=_encode_known(estimate.work_seconds),
            wait_duration=_encode_known(wait_seconds),
            peak_memory_bytes=estimate.peak_memory_bytes,
        ),
        resume_window=encode_duration(call.resume_window_seconds) if call.resume_window_seconds else None,
    )
    return Outgoing(generate_pb2.GenerateResponse(accepted=accepted))


def queue_update_response(position: int, wait_seconds: float | None) -> Outgoing:
    """A job moved in the queue."""
    update = generate_pb2.QueueUpdate(position=position, wait_duration=_encode_known(wait_seconds))
    return Outgoing(generate_pb2.GenerateResponse(queue_update=update))


def event_response(
    event: StageStarted | MatchReport | StepDone | FrameReady, frame_encoding: FrameEncoding
) -> Outgoing:
    """An event of the engine. Compresses pictures: where ``must_compress``, call it off the event loop."""
    match event:
        case StageStarted():
            started = generate_pb2.StageStarted(stage=WIRE_STAGES[event.stage])
            return Outgoing(generate_pb2.GenerateResponse(stage_started=started))
        case MatchReport():
            return Outgoing(generate_pb2.GenerateResponse(match_report=encode_match_report(event)))
        case StepDone():
            return Outgoing(generate_pb2.GenerateResponse(denoise_progress=_encode_step(event)))
        case FrameReady():
            return _encode_frame(event, frame_encoding)


def must_compress(event: StageStarted | MatchReport | StepDone | FrameReady, frame_encoding: FrameEncoding) -> bool:
    """Whether an event holds a picture that is to become a file."""
    if isinstance(event, FrameReady):
        return frame_encoding is not FrameEncoding.RAW_RGB
    return pixel_bytes(event) > 0


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
) -> Outgoing:
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
        match_report=encode_match_report(done.match_report) if done.match_report else None,
        warnings=done.warnings,
        frame_matches=[
            generate_pb2.FrameMatch(frame_index=item.frame_index, score=item.score) for item in done.frame_matches
        ],
        diagnosis=encode_diagnosis(done.diagnosis) if done.diagnosis is not None else None,
    )
    return Outgoing(generate_pb2.GenerateResponse(summary=summary))


def score_match_response(
    report: MatchReport, heat_map_png: bytes = b"", crop_png: bytes = b""
) -> match_pb2.ScoreMatchResponse:
    """The answer of ScoreMatch, with the pictures that were asked for."""
    return match_pb2.ScoreMatchResponse(
        report=encode_match_report(report), heat_map_png=heat_map_png, crop_png=crop_png
    )


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
        geometries=[_encode_geometry(item) for item in capabilities.geometries],
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
        memory_budget_bytes=capabilities.memory_budget_bytes,
        memory_plans=[_encode_memory_plan(plan) for plan in capabilities.memory_plans],
    )


def encode_duration(seconds: float) -> Duration:
    """Seconds as a duration, to the nanosecond."""
    duration = Duration()
    duration.FromNanoseconds(round(seconds * 1e9))
    return duration


def _encode_known(seconds: float | None) -> Duration | None:
    return None if seconds is None else encode_duration(seconds)


def _encode_geometry(geometry: Geometry) -> capabilities_pb2.Geometry:
    return capabilities_pb2.Geometry(
        width_px=geometry.width_px, height_px=geometry.height_px, frame_count=geometry.frame_count
    )


def _encode_memory_plan(plan: MemoryPlan) -> capabilities_pb2.MemoryPlan:
    return capabilities_pb2.MemoryPlan(
        geometry=_encode_geometry(plan.geometry),
        stages=[_encode_stage_memory(stage) for stage in plan.stages],
        peak_bytes=plan.peak_bytes,
        swapped_graphs=plan.swapped,
    )


def _encode_stage_memory(memory: StageMemory) -> capabilities_pb2.StageMemory:
    return capabilities_pb2.StageMemory(
        stage=WIRE_STAGES[memory.stage],
        expert=WIRE_EXPERTS[memory.expert] if memory.expert else None,
        resident_graphs=memory.resident,
        loaded_graphs=memory.loaded,
        prefetched_graphs=memory.prefetched,
        weight_bytes=memory.weight_bytes,
        scratch_bytes=memory.scratch_bytes,
        buffer_bytes=memory.buffer_bytes,
        peak_bytes=memory.peak_bytes,
    )


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
        crop=encode_box(settings.crop),
        picture_fit=WIRE_PICTURE_FITS[settings.picture_fit],
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
        data = bytes(encode_frame(step.preview, FrameEncoding.JPEG))
        progress.preview.CopyFrom(generate_pb2.Preview(data=data, width_px=width_px, height_px=height_px))
    return progress


def _encode_frame(frame: FrameReady, encoding: FrameEncoding) -> Outgoing:
    height_px, width_px, _ = frame.pixels.shape
    head = generate_pb2.Frame(
        index=frame.index, encoding=WIRE_FRAME_ENCODINGS[encoding], width_px=width_px, height_px=height_px
    )
    return Outgoing(frame=head, data=encode_frame(frame.pixels, encoding))
