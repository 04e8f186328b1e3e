"""Events of a job become the messages of a Generate stream."""

from __future__ import annotations

from dataclasses import dataclass

from engine import encode_frame
from engine.api.capabilities import Capabilities
from engine.api.chain import SegmentStarted
from engine.api.events import FrameReady, SegmentDone, Stage, StageStarted, StepDone
from engine.api.job import PreparedJob
from engine.api.match_report import MatchReport
from engine.api.media import FrameEncoding
from engine.api.reuse import StepWork
from server.jobs.attempts import AttemptResult
from server.jobs.messages import Accepted, Completed, Origin, QueueMoved, StreamEvent, VideoChunk
from server.rpc.codec.attempts import encode_plan, encode_result
from server.rpc.codec.durations import encode_duration, encode_known
from server.rpc.codec.enums import (
    WIRE_ATTEMPTS_ENDS,
    WIRE_EXPERTS,
    WIRE_FRAME_ENCODINGS,
    WIRE_PICTURE_FITS,
    WIRE_STAGES,
    WIRE_STEP_REUSES,
    WIRE_STEP_WORKS,
)
from server.rpc.codec.outgoing import Outgoing
from server.rpc.codec.reports import encode_box, encode_diagnosis, encode_match_report, encode_success
from server.rpc.codec.segments import encode_drift, encode_segment, encode_segment_settings, encode_stop
from server.rpc.codec.video import VideoFile
from stillcue.v1 import generate_pb2, segments_pb2


@dataclass(frozen=True, slots=True)
class StreamCodec:
    """Encodes the events of one stream; see ``server.jobs.messages.StreamEncoder``."""

    capabilities: Capabilities
    frame_encoding: FrameEncoding
    video: VideoFile | None = None

    def pixel_bytes(self, event: StreamEvent) -> int:
        """Bytes of pixels that ``encode`` compresses; 0 also for raw frames, which are only copied."""
        match event:
            case FrameReady() if self.frame_encoding is not FrameEncoding.RAW_RGB:
                return event.pixels.nbytes
            case StepDone(preview=preview) if preview is not None:
                return preview.nbytes
            case _:
                return 0

    def encode(self, event: StreamEvent, origin: Origin) -> Outgoing:
        """See ``StreamEncoder``."""
        if isinstance(event, FrameReady):
            outgoing = _encode_frame(event, self.frame_encoding)
        else:
            outgoing = Outgoing(self._encode_response(event))
        outgoing.response.attempt, outgoing.response.segment = origin
        return outgoing

    def _encode_response(self, event: StreamEvent) -> generate_pb2.GenerateResponse:
        response = generate_pb2.GenerateResponse
        match event:
            case Accepted():
                return response(accepted=_encode_accepted(event))
            case QueueMoved(position, wait_seconds):
                update = generate_pb2.QueueUpdate(position=position, wait_duration=encode_known(wait_seconds))
                return response(queue_update=update)
            case StageStarted(stage):
                return response(stage_started=generate_pb2.StageStarted(stage=WIRE_STAGES[stage]))
            case MatchReport():
                return response(match_report=encode_match_report(event))
            case StepDone():
                return response(denoise_progress=_encode_step(event))
            case VideoChunk(index, data, frame_count, media_type):
                chunk = generate_pb2.VideoChunk(index=index, data=data, frame_count=frame_count, media_type=media_type)
                return response(video_chunk=chunk)
            case SegmentStarted(number, segment_count):
                started = segments_pb2.SegmentStarted(number=number, segment_count=segment_count)
                return response(segment_started=started)
            case SegmentDone():
                return response(segment_ended=encode_segment(event))
            case AttemptResult():
                return response(attempt_ended=encode_result(event))
            case Completed():
                return response(summary=_encode_summary(event, self.capabilities))
            case FrameReady():
                raise TypeError("frames are encoded beside the response")


def _encode_accepted(accepted: Accepted) -> generate_pb2.Accepted:
    spec = accepted.spec
    return generate_pb2.Accepted(
        request_id=spec.key.request_id,
        settings=_encode_settings(spec.prepared),
        warnings=spec.prepared.warnings,
        estimate=generate_pb2.Estimate(
            work_duration=encode_known(spec.estimate.work_seconds),
            wait_duration=encode_known(accepted.wait_seconds),
            peak_memory_bytes=spec.estimate.peak_memory_bytes,
        ),
        resume_window=encode_duration(spec.resume_window_seconds) if spec.is_resumable else None,
        attempts=encode_plan(spec.attempts) if spec.attempts is not None else None,
    )


def _encode_summary(completed: Completed, capabilities: Capabilities) -> generate_pb2.Summary:
    done, attempts, chain = completed.done, completed.attempts, completed.done.chain
    delivered_number = 1 if attempts is None else attempts.delivered_number
    return generate_pb2.Summary(
        request_id=completed.spec.key.request_id,
        settings=_encode_settings(completed.spec.prepared.attempt(delivered_number)),
        bundle_digest=capabilities.bundle_digest,
        checkpoint_digest=capabilities.checkpoint_digest,
        stage_timings=[
            generate_pb2.StageTiming(stage=WIRE_STAGES[stage], duration=encode_duration(done.stage_seconds[stage]))
            for stage in Stage
            if stage in done.stage_seconds
        ],
        queue_duration=encode_duration(completed.queue_seconds),
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
        success=encode_success(done.success) if done.success is not None else None,
        attempts=[encode_result(result) for result in attempts.results] if attempts is not None else (),
        delivered_attempt=delivered_number,
        attempts_end=WIRE_ATTEMPTS_ENDS[attempts.end] if attempts is not None else None,
        step_counts=[
            generate_pb2.StepCount(work=WIRE_STEP_WORKS[work], count=done.step_counts[work])
            for work in StepWork
            if done.step_counts.get(work)
        ],
        segments=[encode_segment(segment) for segment in chain.segments] if chain is not None else (),
        chain_drift=encode_drift(chain.drift) if chain is not None else None,
        chain_stop=encode_stop(chain.stop) if chain is not None and chain.stop is not None else None,
    )


def _encode_settings(job: PreparedJob) -> generate_pb2.GenerateSettings:
    settings = job.settings
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
        step_reuse=WIRE_STEP_REUSES[settings.reuse],
        segments=encode_segment_settings(job),
    )


def _encode_step(step: StepDone) -> generate_pb2.DenoiseProgress:
    progress = generate_pb2.DenoiseProgress(
        completed_step_count=step.completed_step_count,
        step_count=step.step_count,
        expert=WIRE_EXPERTS[step.expert],
        step_duration=encode_duration(step.step_seconds),
        work=WIRE_STEP_WORKS[step.work],
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
