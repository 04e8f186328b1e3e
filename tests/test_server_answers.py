"""ScoreMatch, GetCapabilities, and the tables that map wire to domain."""

from __future__ import annotations

import dataclasses
import io
import tomllib
from pathlib import Path
from threading import Semaphore
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

import server
from engine.api.capabilities import Family, MemoryPlan, StageMemory
from engine.api.diagnosis import RemedyKind, SymptomKind
from engine.api.events import Expert, Stage
from engine.api.job import Job, MatchMode, PictureFit, VideoSpec
from engine.api.match_report import MatchBasis, MatchVerdict, SuccessBasis
from engine.api.media import FrameEncoding, ImageFormat
from engine.api.media import Image as EngineImage
from engine.api.prompt_report import ClauseKind, Severity
from engine.api.reuse import StepReuse, StepWork
from engine.testing.fake_engine import FAKE_CAPABILITIES, FakeEngine
from server.jobs.attempt_plan import AttemptFrames
from server.jobs.attempts import AttemptsEnd
from server.rpc.codec import enums
from stillcue.v1 import (
    attempts_pb2,
    capabilities_pb2,
    diagnosis_pb2,
    generate_pb2,
    match_pb2,
    media_pb2,
    prompt_report_pb2,
    segments_pb2,
)
from tests.fake_job import GRAPH_CALL_COUNT
from tests.fake_match_messages import CROPS, REPORT
from tests.serving import PROMPT, failure_of, generate_request, kinds, png, read_all, reason, served, violations

if TYPE_CHECKING:
    from enum import Enum

    from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper


def score_request(prompt: str = PROMPT) -> match_pb2.ScoreMatchRequest:
    return match_pb2.ScoreMatchRequest(image=media_pb2.Image(data=png()), prompt=prompt)


@pytest.mark.parametrize(
    ("prompt", "score", "verdict"),
    [
        ("one two three", 30.0, match_pb2.MATCH_VERDICT_POOR),
        (PROMPT, 60.0, match_pb2.MATCH_VERDICT_DOUBTFUL),
        (f"{PROMPT} {PROMPT}", 100.0, match_pb2.MATCH_VERDICT_GOOD),
    ],
)
async def test_a_score(prompt: str, score: float, verdict: match_pb2.MatchVerdict) -> None:
    async with served(FakeEngine()) as running:
        report = (await running.stub.ScoreMatch(score_request(prompt))).report
    assert (report.score, report.verdict, report.similarity) == (score, verdict, score / 100)


async def test_the_whole_report_is_exact() -> None:
    expected = match_pb2.ScoreMatchResponse(report=REPORT)
    expected.report.crops.extend(CROPS)
    async with served(FakeEngine()) as running:
        assert await running.stub.ScoreMatch(score_request()) == expected


async def test_a_plan_is_judged_as_it_is_sent() -> None:
    request = score_request("a red fox turns its head, no lettering")
    request.MergeFrom(
        match_pb2.ScoreMatchRequest(frame_count=17, frame_rate=1.5, guidance_scale=12.0, negative_prompt="fox, blur")
    )
    async with served(FakeEngine()) as running:
        found = (await running.stub.ScoreMatch(request)).report.prompt_report
    said = {(item.code, item.case_name, item.field) for item in found.findings}
    assert {("W18", "long", "video.frame_count"), ("W19", "extreme", "sampling.guidance_scale")} <= said
    negation = next(item for item in found.findings if item.code == "W13")
    assert (negation.span.start, negation.span.end) == (26, 38)
    assert {code for code, _, _ in said} >= {"I15"}


async def test_pictures_come_where_they_are_asked_for() -> None:
    request = score_request()
    request.MergeFrom(match_pb2.ScoreMatchRequest(include_heat_map=True, include_crop=True, width_px=48, height_px=32))
    async with served(FakeEngine()) as running:
        answer = await running.stub.ScoreMatch(request)
    heat_map, crop = (Image.open(io.BytesIO(data)) for data in (answer.heat_map_png, answer.crop_png))
    assert (heat_map.format, heat_map.mode, heat_map.size) == ("PNG", "L", (512, 512))
    assert heat_map.getpixel((256, 256)) == 255
    assert heat_map.getpixel((10, 10)) == 0
    assert (crop.format, crop.size, crop.getpixel((24, 16))) == ("PNG", (48, 32), (128, 128, 128))


@pytest.mark.parametrize("fit", [PictureFit.CROP_SUBJECT, PictureFit.CROP_CENTER, PictureFit.PAD])
async def test_the_crop_is_the_picture_that_a_clip_of_the_same_fit_starts_from(fit: PictureFit) -> None:
    shades = np.arange(90 * 40 * 3, dtype=np.uint8).reshape(40, 90, 3)
    buffer = io.BytesIO()
    Image.fromarray(shades).save(buffer, "PNG")
    request = score_request()
    request.image.data = buffer.getvalue()
    request.include_crop, request.picture_fit = True, enums.WIRE_PICTURE_FITS[fit]
    async with served(FakeEngine()) as running:
        answer = await running.stub.ScoreMatch(request)
    job = Job(EngineImage(buffer.getvalue()), PROMPT, video=VideoSpec(picture_fit=fit))
    expected = FakeEngine().prepare(job).picture
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(answer.crop_png))), expected)


async def test_a_picture_that_the_fit_refuses_is_named() -> None:
    request = score_request()
    request.image.data = png(90, 40)
    request.include_crop, request.picture_fit = True, media_pb2.PICTURE_FIT_REFUSE
    async with served(FakeEngine()) as running:
        error = await failure_of(running.stub.ScoreMatch(request))
    ((field, description),) = violations(error)
    assert (field, description.partition(",")[0]) == ("image.data", "is 90x40 pixels")


async def test_wrong_fields_of_a_plan_are_named_as_they_were_sent() -> None:
    request = score_request()
    request.MergeFrom(match_pb2.ScoreMatchRequest(width_px=5, frame_count=10, guidance_scale=0.5))
    async with served(FakeEngine()) as running:
        error = await failure_of(running.stub.ScoreMatch(request))
        assert [field for field, _ in violations(error)] == ["width_px", "frame_count", "guidance_scale"]
        request = score_request()
        request.width_px = request.height_px = 64
        error = await failure_of(running.stub.ScoreMatch(request))
    assert reason(error) == "NOT_COMPILED"
    assert [field for field, _ in violations(error)] == ["width_px"]


async def test_a_score_does_not_wait_for_the_running_job() -> None:
    gate = Semaphore(0)
    async with served(FakeEngine(gate=gate)) as running:
        call = running.stub.Generate(generate_request())
        await anext(aiter(call))
        assert (await running.stub.ScoreMatch(score_request())).report.score == 60.0
        gate.release(GRAPH_CALL_COUNT)
        assert kinds(await read_all(call))[-1] == "summary"


async def test_bad_fields_of_a_score_are_named() -> None:
    async with served(FakeEngine()) as running:
        error = await failure_of(running.stub.ScoreMatch(score_request("")))
        assert violations(error) == [("prompt", "is empty; name the subject of the picture and what it does")]
        request = score_request()
        request.image.format = 9  # type: ignore[assignment]
        error = await failure_of(running.stub.ScoreMatch(request))
    assert reason(error) == "INVALID_JOB"
    assert violations(error) == [("image.format", "is 9; this server knows 0, 1, 2, 3, 4, 5, 6, 7, 8")]


async def test_capabilities() -> None:
    async with served(FakeEngine(), queue_capacity=5) as running:
        response = await running.stub.GetCapabilities(capabilities_pb2.GetCapabilitiesRequest())
    assert response == capabilities_pb2.GetCapabilitiesResponse(
        server_version=server.__version__,
        model=capabilities_pb2.Model(
            name="fake",
            family=capabilities_pb2.MODEL_FAMILY_WAN22_I2V_A14B,
            bundle_digest="0" * 64,
            checkpoint_digest="1" * 64,
            runtime="fake",
            license="Apache-2.0",
        ),
        geometries=[
            capabilities_pb2.Geometry(width_px=32, height_px=32, frame_count=9),
            capabilities_pb2.Geometry(width_px=48, height_px=32, frame_count=9),
            capabilities_pb2.Geometry(width_px=32, height_px=32, frame_count=17),
        ],
        sampling_defaults=capabilities_pb2.SamplingDefaults(
            step_count=4,
            guidance_scale=3.5,
            guidance_scale_low_noise=3.5,
            shift=5.0,
            frame_rate=8.0,
            negative_prompt="blurred",
            step_reuse=generate_pb2.STEP_REUSE_OFF,
        ),
        limits=capabilities_pb2.Limits(
            max_image_bytes=8 * 2**20,
            max_image_pixel_count=50_000_000,
            max_step_count=100,
            max_prompt_character_count=2_000,
            queue_capacity=5,
        ),
        match_supported=True,
        frame_encodings=[
            media_pb2.FRAME_ENCODING_RAW_RGB,
            media_pb2.FRAME_ENCODING_PNG,
            media_pb2.FRAME_ENCODING_JPEG,
            media_pb2.FRAME_ENCODING_WEBP,
        ],
        notices=["This is the fake engine: its frames are plain colours."],
        video_codecs=[media_pb2.VIDEO_CODEC_H264, media_pb2.VIDEO_CODEC_AV1],
        attempts=attempts_pb2.AttemptSupport(accept_from=0.5, maximum_count=8),
        step_reuse_supported=True,
        device="cpu",
        chains=segments_pb2.ChainSupport(max_segment_count=12, given_frame_count=5, max_frame_count=17 + 11 * 12),
    )


async def test_a_memory_plan_is_told_stage_by_stage() -> None:
    stages = (
        StageMemory(Stage.ENCODE_TEXT, None, ("text_encoder",), ("text_encoder",), ("transformer_high",), 5, 3, 2),
        StageMemory(Stage.DENOISE, Expert.HIGH_NOISE, ("transformer_high",), (), (), 20, 0, 1),
    )
    plan = MemoryPlan(FAKE_CAPABILITIES.geometries[0], stages)
    capabilities = dataclasses.replace(FAKE_CAPABILITIES, memory_budget_bytes=0, memory_plans=(plan,))
    async with served(FakeEngine(capabilities=capabilities)) as running:
        response = await running.stub.GetCapabilities(capabilities_pb2.GetCapabilitiesRequest())
    assert response.HasField("memory_budget_bytes")
    assert list(response.memory_plans) == [
        capabilities_pb2.MemoryPlan(
            geometry=capabilities_pb2.Geometry(width_px=32, height_px=32, frame_count=9),
            stages=[
                capabilities_pb2.StageMemory(
                    stage=generate_pb2.STAGE_ENCODE_TEXT,
                    resident_graphs=["text_encoder"],
                    loaded_graphs=["text_encoder"],
                    prefetched_graphs=["transformer_high"],
                    weight_bytes=5,
                    scratch_bytes=3,
                    buffer_bytes=2,
                    peak_bytes=10,
                ),
                capabilities_pb2.StageMemory(
                    stage=generate_pb2.STAGE_DENOISE,
                    expert=generate_pb2.EXPERT_HIGH_NOISE,
                    resident_graphs=["transformer_high"],
                    weight_bytes=20,
                    buffer_bytes=1,
                    peak_bytes=21,
                ),
            ],
            peak_bytes=21,
            swapped_graphs=["text_encoder", "transformer_high"],
        )
    ]


async def test_a_model_without_experts_has_no_second_guidance_scale() -> None:
    defaults = dataclasses.replace(FAKE_CAPABILITIES.defaults, guidance_scale_low_noise=None)
    capabilities = dataclasses.replace(FAKE_CAPABILITIES, family=Family.WAN22_TI2V_5B, defaults=defaults)
    async with served(FakeEngine(capabilities=capabilities)) as running:
        response = await running.stub.GetCapabilities(capabilities_pb2.GetCapabilitiesRequest())
        messages = await read_all(running.stub.Generate(generate_request()))
        sampling = generate_pb2.SamplingSpec(guidance_scale_low_noise=2.0)
        error = await failure_of(running.stub.Generate(generate_request(sampling=sampling)))
    assert not response.sampling_defaults.HasField("guidance_scale_low_noise")
    assert not messages[0].accepted.settings.HasField("guidance_scale_low_noise")
    assert [field for field, _ in violations(error)] == ["sampling.guidance_scale_low_noise"]


@pytest.mark.parametrize(
    ("table", "wire", "domain"),
    [
        (enums.WIRE_FRAME_ENCODINGS, media_pb2.FrameEncoding, FrameEncoding),
        (enums.WIRE_STAGES, generate_pb2.Stage, Stage),
        (enums.WIRE_EXPERTS, generate_pb2.Expert, Expert),
        (enums.WIRE_STEP_REUSES, generate_pb2.StepReuse, StepReuse),
        (enums.WIRE_STEP_WORKS, generate_pb2.StepWork, StepWork),
        (enums.WIRE_VERDICTS, match_pb2.MatchVerdict, MatchVerdict),
        (enums.WIRE_BASES, match_pb2.MatchBasis, MatchBasis),
        (enums.WIRE_SUCCESS_BASES, match_pb2.SuccessBasis, SuccessBasis),
        (enums.WIRE_PICTURE_FITS, media_pb2.PictureFit, PictureFit),
        (enums.WIRE_IMAGE_FORMATS, media_pb2.ImageFormat, ImageFormat),
        (enums.WIRE_CLAUSE_KINDS, prompt_report_pb2.ClauseKind, ClauseKind),
        (enums.WIRE_SEVERITIES, prompt_report_pb2.FindingSeverity, Severity),
        (enums.WIRE_SYMPTOMS, diagnosis_pb2.SymptomKind, SymptomKind),
        (enums.WIRE_REMEDIES, diagnosis_pb2.RemedyKind, RemedyKind),
        (enums.WIRE_FAMILIES, capabilities_pb2.ModelFamily, Family),
        (enums.WIRE_ATTEMPT_FRAMES, attempts_pb2.AttemptFrames, AttemptFrames),
        (enums.WIRE_ATTEMPTS_ENDS, attempts_pb2.AttemptsEnd, AttemptsEnd),
    ],
)
def test_everything_of_the_domain_has_its_own_number(
    table: dict[Enum, int], wire: EnumTypeWrapper, domain: type[Enum]
) -> None:
    assert list(table) == list(domain)
    assert sorted(table.values()) == wire.values()[1:]
    assert [wire.Name(number).endswith(item.name) for item, number in table.items()] == [True] * len(table)


@pytest.mark.parametrize(
    ("table", "wire", "domain", "unspecified"),
    [
        (enums.IMAGE_FORMATS, media_pb2.ImageFormat, ImageFormat, None),
        (enums.MATCH_MODES, match_pb2.MatchMode, MatchMode, None),
        (enums.PICTURE_FITS, media_pb2.PictureFit, PictureFit, None),
        (enums.STEP_REUSES, generate_pb2.StepReuse, StepReuse, None),
        (enums.FRAME_ENCODINGS, media_pb2.FrameEncoding, FrameEncoding, FrameEncoding.PNG),
        (enums.ATTEMPT_FRAMES, attempts_pb2.AttemptFrames, AttemptFrames, AttemptFrames.ALL),
    ],
)
def test_every_number_of_the_wire_is_understood(
    table: dict[int, Any], wire: EnumTypeWrapper, domain: type[Enum], unspecified: Any
) -> None:
    assert list(table) == wire.values()
    assert table[0] is unspecified
    assert [table[number] for number in wire.values()[1:]] == list(domain)


def test_the_version_is_the_distributions() -> None:
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))
    assert server.__version__ == project["project"]["version"]
