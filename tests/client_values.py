"""What the client makes of the scripted server's messages: the events of a clip, and the capabilities."""

from __future__ import annotations

import stillcue
from tests.scripted_report import DIAGNOSIS, REPORT
from tests.scripted_server import FRAME_COUNT, HEIGHT_PX, PREVIEW_JPEG, WIDTH_PX, colour

SETTINGS = stillcue.Settings(
    width_px=WIDTH_PX,
    height_px=HEIGHT_PX,
    frame_count=FRAME_COUNT,
    frame_rate=8.0,
    step_count=2,
    guidance_scale=3.5,
    guidance_scale_low_noise=4.5,
    seed=7,
    shift=5.0,
    negative_prompt="blurred",
    crop=stillcue.Box(1, 2, 3, 4),
    picture_fit=stillcue.PictureFit.PAD,
    step_reuse=stillcue.StepReuse.BALANCED,
)


PREVIEW = stillcue.Preview(PREVIEW_JPEG, 6, 4)
CLIP: list[stillcue.Event] = [
    stillcue.Accepted("an-id", SETTINGS, ("soft picture",)),
    stillcue.QueueUpdate(0),
    stillcue.StageStarted(stillcue.Stage.MATCH),
    REPORT,
    stillcue.StageStarted(stillcue.Stage.DENOISE),
    stillcue.DenoiseProgress(1, 2, stillcue.Expert.HIGH_NOISE, 1.25, PREVIEW, work=stillcue.StepWork.FULL),
    stillcue.DenoiseProgress(2, 2, stillcue.Expert.LOW_NOISE, 1.25, PREVIEW, work=stillcue.StepWork.GUIDANCE_REUSED),
    stillcue.StageStarted(stillcue.Stage.DECODE),
    *(
        stillcue.Frame(
            index,
            stillcue.FrameEncoding.RAW_RGB,
            bytes(colour(index)) * (WIDTH_PX * HEIGHT_PX),
            WIDTH_PX,
            HEIGHT_PX,
        )
        for index in range(FRAME_COUNT)
    ),
    stillcue.Summary(
        request_id="an-id",
        settings=SETTINGS,
        bundle_digest="ab" * 32,
        checkpoint_digest="cd" * 32,
        stage_seconds={stillcue.Stage.DENOISE: 2.5, stillcue.Stage.DECODE: 0.25},
        queue_seconds=0.5,
        work_seconds=3.0,
        first_frame_seconds=2.75,
        peak_memory_bytes=12_345_678_901,
        first_frame_psnr_db=float("inf"),
        match_report=REPORT,
        warnings=("soft picture", "dark frames"),
        frame_matches=(stillcue.FrameMatch(4, 50.0),),
        diagnosis=DIAGNOSIS,
        success=stillcue.SuccessEstimate(0.75, stillcue.SuccessBasis.MEASURED, None, None),
        step_counts={stillcue.StepWork.FULL: 1, stillcue.StepWork.GUIDANCE_REUSED: 1},
    ),
]


CAPABILITIES = stillcue.Capabilities(
    server_version="1.2.3",
    model=stillcue.Model("scripted", stillcue.ModelFamily.WAN22_TI2V_5B, "ab" * 32, "cd" * 32, "none", "Apache-2.0"),
    geometries=(stillcue.Geometry(WIDTH_PX, HEIGHT_PX, FRAME_COUNT),),
    sampling_defaults=stillcue.SamplingDefaults(2, 5.0, None, 3.0, 24.0, "blurred", stillcue.StepReuse.BALANCED),
    limits=stillcue.Limits(1000, 2000, 30, 400, 5),
    match_supported=True,
    frame_encodings=(stillcue.FrameEncoding.RAW_RGB, stillcue.FrameEncoding.PNG),
    notices=("plain colours",),
    video_codecs=(stillcue.VideoCodec.AV1, stillcue.VideoCodec.H264),
    attempts=stillcue.AttemptSupport(0.625, 8),
    step_reuse_supported=True,
    device="cuda:1",
    chains=stillcue.ChainSupport(12, 1, 49),
    memory_budget_bytes=24_159_191_040,
    memory_plans=(
        stillcue.MemoryPlan(
            geometry=stillcue.Geometry(WIDTH_PX, HEIGHT_PX, FRAME_COUNT),
            stages=(
                stillcue.StageMemory(
                    stillcue.Stage.ENCODE_TEXT,
                    None,
                    resident_graphs=("text_encoder", "transformer"),
                    loaded_graphs=("text_encoder",),
                    prefetched_graphs=(),
                    weight_bytes=11_000_000_000,
                    scratch_bytes=200_000_000,
                    buffer_bytes=30_000_000,
                    peak_bytes=11_230_000_000,
                ),
                stillcue.StageMemory(
                    stillcue.Stage.DENOISE,
                    stillcue.Expert.SINGLE,
                    resident_graphs=("transformer", "vae_decoder_init"),
                    loaded_graphs=(),
                    prefetched_graphs=("vae_decoder_init",),
                    weight_bytes=6_000_000_000,
                    scratch_bytes=0,
                    buffer_bytes=0,
                    peak_bytes=6_000_000_000,
                ),
            ),
            peak_bytes=11_230_000_000,
            swapped_graphs=("text_encoder", "vae_decoder_init"),
        ),
    ),
)
