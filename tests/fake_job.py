"""The job of ``generate_request`` on the fake engine: its graph calls, its settings and its exact stream."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration

from stillcue.v1 import diagnosis_pb2, generate_pb2, match_pb2, media_pb2
from tests.fake_match_messages import REPORT
from tests.serving import PROMPT, REQUEST_ID

SETTINGS = generate_pb2.GenerateSettings(
    width_px=32,
    height_px=32,
    frame_count=9,
    frame_rate=8.0,
    step_count=4,
    guidance_scale=3.5,
    guidance_scale_low_noise=3.5,
    seed=7,
    shift=5.0,
    negative_prompt="blurred",
    crop=media_pb2.Box(left_px=0, top_px=0, width_px=32, height_px=32),
    picture_fit=media_pb2.PICTURE_FIT_CROP_CENTER,
    step_reuse=generate_pb2.STEP_REUSE_OFF,
)


STAGES = (
    generate_pb2.STAGE_MATCH,
    generate_pb2.STAGE_ENCODE_TEXT,
    generate_pb2.STAGE_ENCODE_IMAGE,
    generate_pb2.STAGE_DENOISE,
    generate_pb2.STAGE_DECODE,
)


CLEAN = diagnosis_pb2.Diagnosis(
    outcome=diagnosis_pb2.DIAGNOSIS_OUTCOME_CLEAN,
    metrics=diagnosis_pb2.ClipMetrics(
        vbench_like_dynamic_degree=1.0,
        motion_speed=0.5,
        vbench_like_temporal_flicker=1.0,
        edge_gain=0.0,
        saturation_gain=0.0,
    ),
)


GRAPH_CALLS = [
    "match",
    "encode_text",
    "encode_image",
    *(f"denoise {n}" for n in range(1, 5)),
    "decode 0",
    "decode 1",
    "decode 2",
]


GRAPH_CALL_COUNT = len(GRAPH_CALLS)
EVENT_COUNT = 21
Response = generate_pb2.GenerateResponse


def stage_started(stage: generate_pb2.Stage) -> Response:
    return Response(attempt=1, segment=1, stage_started=generate_pb2.StageStarted(stage=stage))


def denoise_progress(step: int, expert: generate_pb2.Expert) -> Response:
    return Response(
        attempt=1,
        segment=1,
        denoise_progress=generate_pb2.DenoiseProgress(
            completed_step_count=step,
            step_count=4,
            expert=expert,
            step_duration=Duration(seconds=1),
            work=generate_pb2.STEP_WORK_FULL,
        ),
    )


def raw_frame(index: int, seed: int = 7, prompt: str = PROMPT) -> Response:
    return Response(
        attempt=1,
        segment=1,
        frame=generate_pb2.Frame(
            index=index,
            encoding=media_pb2.FRAME_ENCODING_RAW_RGB,
            data=bytes((seed + index, index, len(prompt))) * 32 * 32,
            width_px=32,
            height_px=32,
        ),
    )


def success(seed: int) -> match_pb2.SuccessEstimate:
    """The judged success of the fake engine's clip."""
    return match_pb2.SuccessEstimate(probability=seed % 10 / 10, basis=match_pb2.SUCCESS_BASIS_MEASURED)


def expected_stream(seed: int = 7, request_id: str = REQUEST_ID) -> list[Response]:
    """Every message of the stream, for seeds below 248."""
    settings = generate_pb2.GenerateSettings()
    settings.CopyFrom(SETTINGS)
    settings.seed = seed
    return [
        Response(
            accepted=generate_pb2.Accepted(
                request_id=request_id, settings=settings, estimate=generate_pb2.Estimate(wait_duration=Duration())
            )
        ),
        stage_started(generate_pb2.STAGE_MATCH),
        Response(attempt=1, segment=1, match_report=REPORT),
        stage_started(generate_pb2.STAGE_ENCODE_TEXT),
        stage_started(generate_pb2.STAGE_ENCODE_IMAGE),
        stage_started(generate_pb2.STAGE_DENOISE),
        denoise_progress(1, generate_pb2.EXPERT_HIGH_NOISE),
        denoise_progress(2, generate_pb2.EXPERT_HIGH_NOISE),
        denoise_progress(3, generate_pb2.EXPERT_LOW_NOISE),
        denoise_progress(4, generate_pb2.EXPERT_LOW_NOISE),
        stage_started(generate_pb2.STAGE_DECODE),
        *(raw_frame(index, seed) for index in range(9)),
        Response(
            summary=generate_pb2.Summary(
                request_id=request_id,
                settings=settings,
                bundle_digest="0" * 64,
                checkpoint_digest="1" * 64,
                stage_timings=[generate_pb2.StageTiming(stage=stage, duration=Duration(seconds=1)) for stage in STAGES],
                work_duration=Duration(seconds=5),
                first_frame_duration=Duration(seconds=4),
                peak_memory_bytes=1_000,
                first_frame_psnr_db=40.0,
                match_report=REPORT,
                frame_matches=[
                    generate_pb2.FrameMatch(frame_index=0, score=60.0),
                    generate_pb2.FrameMatch(frame_index=8, score=60.0),
                ],
                diagnosis=CLEAN,
                success=success(seed),
                delivered_attempt=1,
                step_counts=[generate_pb2.StepCount(work=generate_pb2.STEP_WORK_FULL, count=4)],
            )
        ),
    ]


def without_clocks(messages: list[Response]) -> list[Response]:
    """The messages less what a clock decides and what the position in the stream does."""
    plain = []
    for message in messages:
        copy = Response()
        copy.CopyFrom(message)
        copy.ClearField("sequence_number")
        copy.ClearField("elapsed")
        copy.summary.ClearField("queue_duration") if copy.HasField("summary") else None
        copy.accepted.estimate.ClearField("work_duration") if copy.HasField("accepted") else None
        plain.append(copy)
    return plain
