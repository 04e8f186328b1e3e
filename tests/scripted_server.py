"""A Stillcue server without an engine that answers as a test scripts it, over real gRPC on a free port.

``a_clip`` is the script of an ordinary clip; the constants are the messages of which scripts consist.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import status_pb2
from grpc_status import rpc_status
from PIL import Image

from stillcue.v1 import (
    attempts_pb2,
    capabilities_pb2,
    generate_pb2,
    match_pb2,
    media_pb2,
    segments_pb2,
    service_pb2_grpc,
)
from tests.scripted_report import DIAGNOSIS_MESSAGE, REPORT_MESSAGE

Response = generate_pb2.GenerateResponse
GenerateScript = Callable[[generate_pb2.GenerateRequest, Any], Iterator[Response]]
WIDTH_PX, HEIGHT_PX, FRAME_COUNT, FRAME_RATE = 48, 32, 5, 8.0


def _jpeg(width_px: int, height_px: int, colour: tuple[int, int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width_px, height_px), colour).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


PREVIEW_JPEG = _jpeg(6, 4, (200, 100, 50))
SETTINGS = generate_pb2.GenerateSettings(
    width_px=WIDTH_PX,
    height_px=HEIGHT_PX,
    frame_count=FRAME_COUNT,
    frame_rate=FRAME_RATE,
    step_count=2,
    guidance_scale=3.5,
    guidance_scale_low_noise=4.5,
    seed=7,
    shift=5.0,
    negative_prompt="blurred",
    crop=media_pb2.Box(left_px=1, top_px=2, width_px=3, height_px=4),
    picture_fit=media_pb2.PICTURE_FIT_PAD,
    step_reuse=generate_pb2.STEP_REUSE_BALANCED,
)
MATCH_REPORT = REPORT_MESSAGE
CAPABILITIES = capabilities_pb2.GetCapabilitiesResponse(
    server_version="1.2.3",
    model=capabilities_pb2.Model(
        name="scripted",
        family=capabilities_pb2.MODEL_FAMILY_WAN22_TI2V_5B,
        bundle_digest="ab" * 32,
        checkpoint_digest="cd" * 32,
        runtime="none",
        license="Apache-2.0",
    ),
    geometries=[capabilities_pb2.Geometry(width_px=WIDTH_PX, height_px=HEIGHT_PX, frame_count=FRAME_COUNT)],
    sampling_defaults=capabilities_pb2.SamplingDefaults(
        step_count=2,
        guidance_scale=5.0,
        shift=3.0,
        frame_rate=24.0,
        negative_prompt="blurred",
        step_reuse=generate_pb2.STEP_REUSE_BALANCED,
    ),
    limits=capabilities_pb2.Limits(
        max_image_bytes=1000,
        max_image_pixel_count=2000,
        max_step_count=30,
        max_prompt_character_count=400,
        queue_capacity=5,
    ),
    match_supported=True,
    frame_encodings=[media_pb2.FRAME_ENCODING_RAW_RGB, media_pb2.FRAME_ENCODING_PNG],
    notices=["plain colours"],
    attempts=attempts_pb2.AttemptSupport(accept_from=0.625, maximum_count=8),
    video_codecs=[media_pb2.VIDEO_CODEC_AV1, media_pb2.VIDEO_CODEC_H264],
    memory_budget_bytes=24_159_191_040,
    memory_plans=[
        capabilities_pb2.MemoryPlan(
            geometry=capabilities_pb2.Geometry(width_px=WIDTH_PX, height_px=HEIGHT_PX, frame_count=FRAME_COUNT),
            stages=[
                capabilities_pb2.StageMemory(
                    stage=generate_pb2.STAGE_ENCODE_TEXT,
                    resident_graphs=["text_encoder", "transformer"],
                    loaded_graphs=["text_encoder"],
                    weight_bytes=11_000_000_000,
                    scratch_bytes=200_000_000,
                    buffer_bytes=30_000_000,
                    peak_bytes=11_230_000_000,
                ),
                capabilities_pb2.StageMemory(
                    stage=generate_pb2.STAGE_DENOISE,
                    expert=generate_pb2.EXPERT_SINGLE,
                    resident_graphs=["transformer", "vae_decoder_init"],
                    prefetched_graphs=["vae_decoder_init"],
                    weight_bytes=6_000_000_000,
                    peak_bytes=6_000_000_000,
                ),
            ],
            peak_bytes=11_230_000_000,
            swapped_graphs=["text_encoder", "vae_decoder_init"],
        )
    ],
    step_reuse_supported=True,
    device="cuda:1",
    chains=segments_pb2.ChainSupport(max_segment_count=12, given_frame_count=1, max_frame_count=49),
)


def seconds(value: float) -> duration_pb2.Duration:
    return duration_pb2.Duration(seconds=int(value), nanos=round(value % 1 * 1e9))


def accepted(request: generate_pb2.GenerateRequest, *warnings: str) -> Response:
    message = generate_pb2.Accepted(request_id=request.request_id, settings=SETTINGS, warnings=warnings)
    return Response(accepted=message)


def stage(number: generate_pb2.Stage) -> Response:
    return Response(stage_started=generate_pb2.StageStarted(stage=number))


def colour(index: int) -> tuple[int, int, int]:
    return 40 * index, 200 - 40 * index, 100


def frame(index: int) -> Response:
    """Returns the response with a raw frame of one colour."""
    data = bytes(colour(index)) * (WIDTH_PX * HEIGHT_PX)
    message = generate_pb2.Frame(
        index=index,
        encoding=media_pb2.FRAME_ENCODING_RAW_RGB,
        data=data,
        width_px=WIDTH_PX,
        height_px=HEIGHT_PX,
    )
    return Response(frame=message)


def video_chunk(index: int) -> Response:
    """Returns the response with a chunk of a file of which only the order matters."""
    message = generate_pb2.VideoChunk(
        index=index,
        data=f"chunk {index};".encode(),
        frame_count=4 if index else 1,
        media_type="" if index else 'video/mp4; codecs="none"',
    )
    return Response(video_chunk=message)


def summary(request: generate_pb2.GenerateRequest, *warnings: str) -> Response:
    message = generate_pb2.Summary(
        request_id=request.request_id,
        settings=SETTINGS,
        bundle_digest="ab" * 32,
        checkpoint_digest="cd" * 32,
        stage_timings=[
            generate_pb2.StageTiming(stage=generate_pb2.STAGE_DENOISE, duration=seconds(2.5)),
            generate_pb2.StageTiming(stage=generate_pb2.STAGE_DECODE, duration=seconds(0.25)),
        ],
        queue_duration=seconds(0.5),
        work_duration=seconds(3.0),
        first_frame_duration=seconds(2.75),
        peak_memory_bytes=12_345_678_901,
        first_frame_psnr_db=float("inf"),
        match_report=MATCH_REPORT,
        warnings=warnings,
        frame_matches=[generate_pb2.FrameMatch(frame_index=4, score=50.0)],
        diagnosis=DIAGNOSIS_MESSAGE,
        success=match_pb2.SuccessEstimate(probability=0.75, basis=match_pb2.SUCCESS_BASIS_MEASURED),
        delivered_attempt=1,
        step_counts=[
            generate_pb2.StepCount(work=generate_pb2.STEP_WORK_FULL, count=1),
            generate_pb2.StepCount(work=generate_pb2.STEP_WORK_GUIDANCE_REUSED, count=1),
        ],
    )
    return Response(summary=message)


def a_clip(request: generate_pb2.GenerateRequest, context: Any) -> Iterator[Response]:
    yield accepted(request, "soft picture")
    yield Response(queue_update=generate_pb2.QueueUpdate(position=0))
    yield stage(generate_pb2.STAGE_MATCH)
    yield Response(match_report=MATCH_REPORT)
    yield stage(generate_pb2.STAGE_DENOISE)
    for step in (1, 2):
        yield Response(
            denoise_progress=generate_pb2.DenoiseProgress(
                completed_step_count=step,
                step_count=2,
                expert=generate_pb2.EXPERT_HIGH_NOISE if step == 1 else generate_pb2.EXPERT_LOW_NOISE,
                step_duration=seconds(1.25),
                work=generate_pb2.STEP_WORK_FULL if step == 1 else generate_pb2.STEP_WORK_GUIDANCE_REUSED,
                preview=generate_pb2.Preview(data=PREVIEW_JPEG, width_px=6, height_px=4)
                if request.stream.preview_every_step_count
                else None,
            )
        )
    yield stage(generate_pb2.STAGE_DECODE)
    for index in range(FRAME_COUNT):
        if not request.stream.omit_frames:
            yield frame(index)
        if request.stream.video_container and index % 4 == 0:
            yield video_chunk(index // 4)
    yield summary(request, "soft picture", "dark frames")


def a_clip_that_halts(request: generate_pb2.GenerateRequest, context: Any) -> Iterator[Response]:
    """Sends the first frame and then nothing until the call is over."""
    is_over = threading.Event()
    context.add_callback(is_over.set)
    yield accepted(request)
    yield frame(0)
    is_over.wait(30)
    raise ConnectionError  # whatever: nobody listens any more


def refuse(context: Any, code: grpc.StatusCode, message: str, *details: Message) -> NoReturn:
    """Ends a call with an error that carries ``details``."""
    status = status_pb2.Status(code=code.value[0], message=message)
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    context.abort_with_status(rpc_status.to_status(status))
    raise AssertionError  # abort_with_status raises


@dataclass
class ScriptedServer(service_pb2_grpc.StillcueServiceServicer):
    """Answers from its scripts and records the requests.

    ``cancelled`` is set when a Generate call ends before its script.
    """

    generate: GenerateScript = a_clip
    score: Callable[[match_pb2.ScoreMatchRequest, Any], match_pb2.MatchReport] = lambda _request, _context: MATCH_REPORT
    heat_map_png: bytes = b""
    crop_png: bytes = b""
    requests: list[Message] = field(default_factory=list)
    metadata: list[dict[str, str]] = field(default_factory=list)
    cancelled: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    def Generate(self, request: generate_pb2.GenerateRequest, context: Any) -> Iterator[Response]:
        self._keep(request, context)
        is_over = threading.Event()
        context.add_callback(lambda: None if is_over.is_set() else self.cancelled.set())
        yield from self.generate(request, context)
        is_over.set()

    def CancelGenerate(
        self, request: generate_pb2.CancelGenerateRequest, context: Any
    ) -> generate_pb2.CancelGenerateResponse:
        self._keep(request, context)
        return generate_pb2.CancelGenerateResponse()

    def ScoreMatch(self, request: match_pb2.ScoreMatchRequest, context: Any) -> match_pb2.ScoreMatchResponse:
        self._keep(request, context)
        report = self.score(request, context)
        return match_pb2.ScoreMatchResponse(report=report, heat_map_png=self.heat_map_png, crop_png=self.crop_png)

    def GetCapabilities(
        self, request: capabilities_pb2.GetCapabilitiesRequest, context: Any
    ) -> capabilities_pb2.GetCapabilitiesResponse:
        self._keep(request, context)
        return CAPABILITIES

    def _keep(self, request: Message, context: Any) -> None:
        self.requests.append(request)
        self.metadata.append(dict(context.invocation_metadata()))


@contextmanager
def serving(server: ScriptedServer, credentials: grpc.ServerCredentials | None = None) -> Iterator[ScriptedServer]:
    """Serves during the block, in plaintext without credentials."""
    running = grpc.server(ThreadPoolExecutor(max_workers=4), options=[("grpc.so_reuseport", 0)])
    service_pb2_grpc.add_StillcueServiceServicer_to_server(server, running)
    if credentials is None:
        server.port = running.add_insecure_port("127.0.0.1:0")
    else:
        server.port = running.add_secure_port("127.0.0.1:0", credentials)
    running.start()
    try:
        yield server
    finally:
        running.stop(grace=None).wait()
