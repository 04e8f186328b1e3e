"""The video file of a Generate stream, through a real server: order, bytes, times, colours, ends, refusals."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from fractions import Fraction
from threading import Semaphore
from typing import Any

import grpc
import numpy as np
import pytest

import engine.media.video.choice as encoder_choice
from engine.api.cancellation import CancelFlag
from engine.api.errors import EngineLost, VideoFailed
from engine.api.events import Event, FrameReady
from engine.api.job import PreparedJob
from engine.api.media import Pixels
from engine.api.video import VideoEncoder
from engine.testing.fake_engine import FakeEngine
from stillcue.v1 import attempts_pb2, capabilities_pb2, generate_pb2, match_pb2, media_pb2
from tests.attempting import ACCEPTED
from tests.fake_job import GRAPH_CALL_COUNT, expected_stream, without_clocks
from tests.painting_engine import PaintingEngine, gradient
from tests.resuming import going_on, raw, read_and_break, read_bytes
from tests.serving import (
    PATIENCE_SECONDS,
    eventually,
    failure_of,
    generate_request,
    kinds,
    read_all,
    reason,
    served,
    violations,
)
from tests.video_files import AV1, H264, boxes, bt709, chunks_of, decode, file_of, video_request

VIDEO, STREAM = generate_pb2.VideoSpec, generate_pb2.StreamSpec
FRAGMENTED_MP4 = media_pb2.VIDEO_CONTAINER_FRAGMENTED_MP4
SECRET = "/srv/ffmpeg"
FIRST_CHUNK_NUMBER = 12  # of the events, after frame 0
CODECS = pytest.mark.parametrize("codec", [H264, AV1], ids=["h264", "av1"])
PRIMARIES = [(red, green, blue) for red in (0, 255) for green in (0, 255) for blue in (0, 255)]


@CODECS
async def test_chunks_follow_their_frames_and_are_the_file(codec: media_pb2.VideoCodec) -> None:
    async with served(FakeEngine()) as server:
        messages = await read_all(server.stub.Generate(video_request(codec)))
        alone = await read_all(server.stub.Generate(video_request(codec, omit_frames=True)))
    frames = [message for message in messages if not message.HasField("video_chunk")]
    assert without_clocks(frames) == expected_stream()
    assert [message.sequence_number for message in messages] == list(range(len(messages)))
    group = ["frame"] * 4 + ["video_chunk"]
    assert kinds(messages)[-13:] == ["frame", "video_chunk", *group, *group, "summary"]
    assert kinds(alone)[-4:] == ["video_chunk"] * 3 + ["summary"]
    assert "frame" not in kinds(alone)
    chunks = chunks_of(messages)
    assert [(chunk.index, chunk.frame_count) for chunk in chunks] == [(0, 1), (1, 4), (2, 4)]
    codec_names = {H264: "avc1.64000a", AV1: "av01.0.00M.08"}
    assert [chunk.media_type for chunk in chunks] == [f'video/mp4; codecs="{codec_names[codec]}"', "", ""]
    assert file_of(alone) == file_of(messages)  # the same clip, whatever else the stream carries
    top = [name for name, _ in boxes(file_of(messages)) if name in {"ftyp", "moov", "moof", "mdat"}]
    assert top == ["ftyp", "moov", *["moof", "mdat"] * 3]


@CODECS
@pytest.mark.parametrize("rate", [Fraction(16), Fraction(24_000, 1001), Fraction(120), Fraction(25, 2), Fraction(1)])
async def test_every_prefix_plays_at_the_exact_rate(codec: media_pb2.VideoCodec, rate: Fraction) -> None:
    async with served(FakeEngine()) as server:
        request = video_request(
            codec, omit_frames=True, video=VIDEO(frame_rate=float(rate), frame_count=17, width_px=32, height_px=32)
        )
        chunks = chunks_of(await read_all(server.stub.Generate(request)))
    for count in range(1, len(chunks) + 1):
        clip = decode(b"".join(chunk.data for chunk in chunks[:count]))
        frame_count = 4 * count - 3
        assert clip.times == [index / rate for index in range(frame_count)]
        assert clip.duration == frame_count / rate
        assert count == 1 or clip.rate == rate
        assert clip.tags == (1, 1, 1, 1)  # BT.709 three times, limited range
    assert clip.codec == {H264: "h264", AV1: "libdav1d"}[codec]


async def test_chunks_of_large_frames_keep_within_a_message() -> None:
    """Noise takes the most bytes; two frames of 2 million pixels take fewer than one of them in RGB."""
    noise = np.random.default_rng(0).integers(0, 256, (1088, 1920, 3), np.uint8)
    async with served(PaintingEngine([noise])) as server:
        chunks = chunks_of(await read_all(server.stub.Generate(video_request(omit_frames=True))))
    assert [chunk.frame_count for chunk in chunks] == [1, 2, 2, 2, 2]
    assert max(len(chunk.data) for chunk in chunks) < noise.nbytes


@CODECS
async def test_colours_of_flat_frames(codec: media_pb2.VideoCodec) -> None:
    flat = [np.full((64, 96, 3), colour, np.uint8) for colour in PRIMARIES]
    async with served(PaintingEngine(flat)) as server:
        clip = decode(file_of(await read_all(server.stub.Generate(video_request(codec)))))
    for index, planes in enumerate(clip.planes):
        expected = bt709(PRIMARIES[index % len(PRIMARIES)])
        for plane, value in zip(planes, expected, strict=True):
            assert np.abs(plane.astype(float) - value).max() <= 2.5


@CODECS
async def test_a_gradient_stays_itself(codec: media_pb2.VideoCodec) -> None:
    pixels = gradient(192, 128)
    async with served(PaintingEngine([pixels])) as server:
        clip = decode(file_of(await read_all(server.stub.Generate(video_request(codec)))))
    assert len(clip.frames) == 9
    for frame in clip.frames:
        error = np.abs(frame.astype(float) - pixels)
        assert error.mean() < 2.0
        assert error.max() < 16


async def test_the_first_chunk_leaves_before_the_second_latent_frame_is_decoded() -> None:
    gate = Semaphore(GRAPH_CALL_COUNT - 2)  # all calls but the last two: "decode 1" and "decode 2"
    engine = FakeEngine(gate=gate)
    async with served(engine) as server:
        call = server.stub.Generate(video_request(omit_frames=True))
        received: list[generate_pb2.GenerateResponse] = []
        async with asyncio.timeout(PATIENCE_SECONDS):
            async for message in call:
                received.append(message)
                if message.HasField("video_chunk"):
                    break
        assert engine.graph_calls[-1] == "decode 0"
        clip = decode(file_of(received))
        assert len(clip.frames) == 1
        gate.release(2)
        rest = await read_all(call)
    assert kinds(rest) == ["video_chunk", "video_chunk", "summary"]
    assert len(decode(file_of(received + rest)).frames) == 9


@pytest.mark.parametrize(
    ("stream", "wrong"),
    [
        (STREAM(omit_frames=True), ("stream.omit_frames", "needs stream.video_container; set both, or neither")),
        (STREAM(video_codec=H264), ("stream.video_codec", "needs stream.video_container; set both, or neither")),
        (STREAM(video_container=9), ("stream.video_container", "is 9; this server knows 0, 1")),  # type: ignore[arg-type]
        (
            STREAM(video_container=FRAGMENTED_MP4, video_codec=9),  # type: ignore[arg-type]
            ("stream.video_codec", "is 9; this server knows 0, 1, 2"),
        ),
    ],
    ids=["no container to omit frames", "no container of the codec", "container", "codec"],
)
async def test_wrong_fields(stream: generate_pb2.StreamSpec, wrong: tuple[str, str]) -> None:
    async with served(FakeEngine()) as server:
        error = await failure_of(server.stub.Generate(generate_request(stream=stream)))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert violations(error) == [wrong]


@pytest.mark.parametrize(
    ("names", "codec", "path", "description"),
    [
        ((), H264, "stream.video_container", "is set, and this server encodes no video: --video-encoders allows no"),
        (("libsvtav1",), H264, "stream.video_codec", "is H264; this server encodes AV1"),
        (("av1_nvenc", "libx264"), AV1, "stream.video_codec", "is AV1; this server encodes H264"),
    ],
    ids=["none allowed", "another codec", "no such card"],
)
async def test_a_codec_that_this_server_lacks(
    names: tuple[str, ...], codec: media_pb2.VideoCodec, path: str, description: str
) -> None:
    async with served(FakeEngine(), video_encoders=names) as server:
        error = await failure_of(server.stub.Generate(video_request(codec, request_id="no UUID")))
        capabilities = await server.stub.GetCapabilities(capabilities_pb2.GetCapabilitiesRequest())
    assert codec not in capabilities.video_codecs
    assert [field for field, _ in violations(error)] == ["request_id", path]
    assert violations(error)[1][1].startswith(description)


async def test_the_first_encoder_that_works_is_the_default() -> None:
    async with served(FakeEngine(), video_encoders=("h264_nvenc", "libsvtav1", "libx264")) as server:
        messages = await read_all(server.stub.Generate(video_request(media_pb2.VIDEO_CODEC_UNSPECIFIED)))
        capabilities = await server.stub.GetCapabilities(capabilities_pb2.GetCapabilitiesRequest())
    assert list(capabilities.video_codecs) == [AV1, H264]
    assert chunks_of(messages)[0].media_type.startswith('video/mp4; codecs="av01.')


async def test_a_size_that_no_video_has_is_refused_before_the_work() -> None:
    engine = PaintingEngine([np.zeros((32, 33, 3), np.uint8)])
    async with served(engine) as server:
        error = await failure_of(server.stub.Generate(video_request()))
        assert violations(error) == [
            (
                "stream.video_container",
                "cannot hold 33x32 at 8 frames/s: H264 does not open for it; ask for another size or codec, or leave "
                "the container unset for the frames alone",
            )
        ]
        assert await server.sample("stillcue_jobs_rejected_total{reason=invalid_job}") == 1
    assert engine.graph_calls == []


async def test_the_metrics_of_a_file() -> None:
    async with served(FakeEngine()) as server:
        messages = await read_all(server.stub.Generate(video_request()))
        samples = await server.samples()
    assert samples["stillcue_video_encode_seconds_count"] == 3
    assert samples["stillcue_video_bytes_total"] == len(file_of(messages))


class CountingEncoder:
    """Wraps an encoder; ``fail_at`` is the number of the call of ``encode`` that fails, from 1.

    ``encode`` waits for ``go_on``.
    """

    def __init__(self, encoder: VideoEncoder, fail_at: int | None, go_on: threading.Event | None) -> None:
        self._encoder = encoder
        self._fail_at = fail_at
        self._go_on = go_on
        self.call_count = 0
        self.is_closed = False
        self.media_type = encoder.media_type

    def encode(self, frames: Sequence[Pixels]) -> bytes:
        assert not self.is_closed
        self.call_count += 1
        if self._go_on is not None:
            self._go_on.wait(PATIENCE_SECONDS)
        if self.call_count == self._fail_at:
            raise VideoFailed(SECRET)
        return self._encoder.encode(frames)

    def close(self) -> None:
        self._encoder.close()
        self.is_closed = True


class Encoders:
    """Every encoder that a server opened for a clip."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        fail_at: int | None = None,
        go_on: threading.Event | None = None,
        size_px: int = 32,
    ) -> None:
        self.opened: list[CountingEncoder] = []
        real = encoder_choice.open_encoder

        def open_encoder(*arguments: Any) -> CountingEncoder:
            self.opened.append(CountingEncoder(real(*arguments), fail_at, go_on))
            return self.opened[-1]

        encoder_choice.check_size("libx264", size_px, size_px, Fraction(8))  # which opens one, the first time
        monkeypatch.setattr(encoder_choice, "open_encoder", open_encoder)

    async def all_closed(self) -> None:
        await eventually(lambda: all(encoder.is_closed for encoder in self.opened))


@pytest.mark.parametrize("fail_at", [1, 2, 3])
async def test_an_encoder_that_fails_ends_the_stream(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fail_at: int
) -> None:
    async with served(FakeEngine()) as server:
        encoders = Encoders(monkeypatch, fail_at)
        error = await failure_of(server.stub.Generate(video_request()))
        assert (error.code(), reason(error)) == (grpc.StatusCode.INTERNAL, "VIDEO_FAILED")
        assert "or without stream.video_container for the frames alone" in (error.details() or "")
        assert SECRET not in (error.details() or "")
        assert SECRET in caplog.text
        await server.reaches("stillcue_jobs_total{outcome=video_failed}", 1)
        await encoders.all_closed()
        assert [encoder.call_count for encoder in encoders.opened] == [fail_at]
        assert kinds(await read_all(server.stub.Generate(generate_request())))[-1] == "summary"


async def test_a_frame_of_another_size_ends_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [np.zeros((32, 32, 3), np.uint8)] * 3 + [np.zeros((16, 32, 3), np.uint8)]
    async with served(PaintingEngine(frames)) as server:
        encoders = Encoders(monkeypatch)
        error = await failure_of(server.stub.Generate(video_request(omit_frames=True)))
        assert reason(error) == "VIDEO_FAILED"
        await encoders.all_closed()


async def test_every_end_closes_the_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clip that is complete, one that is cancelled half-way, and one that has no frame."""
    gate = Semaphore(GRAPH_CALL_COUNT)
    async with served(FakeEngine(gate=gate)) as server:
        encoders = Encoders(monkeypatch)
        await read_all(server.stub.Generate(video_request()))
        gate.release(GRAPH_CALL_COUNT - 1)
        call = server.stub.Generate(video_request())
        async with asyncio.timeout(PATIENCE_SECONDS):
            async for message in call:
                if message.HasField("video_chunk"):
                    break
        call.cancel()
        await server.reaches("stillcue_jobs_total{outcome=cancelled}", 1)
        gate.release(GRAPH_CALL_COUNT)
        await server.reaches("stillcue_running_jobs", 0)
        match = match_pb2.MatchPolicy(mode=match_pb2.MATCH_MODE_REQUIRE, minimum_score=90.0)
        assert reason(await failure_of(server.stub.Generate(video_request(match=match)))) == "MATCH_REFUSED"
        await encoders.all_closed()
    assert len(encoders.opened) == 2


async def test_a_broken_stream_goes_on_with_the_same_chunks() -> None:
    gate = Semaphore(GRAPH_CALL_COUNT - 1)
    async with served(FakeEngine(gate=gate)) as server:
        request = video_request()
        request.stream.resume_window.seconds = 60
        first = await read_and_break(server, request, FIRST_CHUNK_NUMBER + 1)
        gate.release()
        rest = await read_bytes(raw(server.channel, going_on(first[-1])))
        whole = await read_bytes(raw(server.channel, request))
    assert first + rest == whole
    messages = [generate_pb2.GenerateResponse.FromString(event) for event in whole]
    assert messages[FIRST_CHUNK_NUMBER].HasField("video_chunk")
    assert len(decode(file_of(messages)).frames) == 9


class LosingEngine(FakeEngine):
    """Loses its worker process after frame 2 of the first clip."""

    def generate(self, job: PreparedJob, cancel: CancelFlag) -> Iterator[Event]:
        is_first = not self.graph_calls
        for event in super().generate(job, cancel):
            yield event
            if is_first and isinstance(event, FrameReady) and event.index == 2:
                raise EngineLost(1.0)


async def test_a_lost_engine_leaves_no_seam_in_the_file() -> None:
    async with served(LosingEngine()) as server:
        request = video_request()
        request.stream.resume_window.seconds = 60
        with_a_loss = await read_all(server.stub.Generate(request))
        assert await server.sample("stillcue_jobs_begun_again_total") == 1
        without = await read_all(server.stub.Generate(video_request()))
    assert file_of(with_a_loss) == file_of(without)


async def test_frames_that_wait_for_the_encoder_count_and_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """An encoder that stands still: the frames that wait fill the buffer of the job."""
    go_on = threading.Event()
    frame = np.zeros((1280, 1280, 3), np.uint8)
    async with served(PaintingEngine([frame]), max_buffered_bytes=16 * 2**20) as server:
        encoders = Encoders(monkeypatch, go_on=go_on, size_px=1280)
        call = server.stub.Generate(video_request(omit_frames=True))
        assert reason(await failure_of(call)) == "BUFFER_FULL"
        go_on.set()
        await encoders.all_closed()
    assert [encoder.call_count for encoder in encoders.opened] == [1]


async def test_every_attempt_closes_its_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three clips, of which the second is the best and the others are dropped; then a cancel in a second attempt."""
    gate = Semaphore(3 * GRAPH_CALL_COUNT + 2 * GRAPH_CALL_COUNT - 1)
    request = video_request()
    request.sampling.seed = 18
    request.attempts.CopyFrom(attempts_pb2.Attempts(maximum_count=3, accept=0.95, frames=ACCEPTED))
    async with served(FakeEngine(gate=gate)) as server:
        encoders = Encoders(monkeypatch)
        messages = await read_all(server.stub.Generate(request))
        assert messages[-1].summary.delivered_attempt == 2
        await encoders.all_closed()
        assert (len(encoders.opened), encoders.opened[1].call_count) == (3, 3)
        call = server.stub.Generate(request)
        await anext(aiter(call))
        await eventually(lambda: len(encoders.opened) == 5)
        call.cancel()
        await server.reaches("stillcue_jobs_total{outcome=cancelled}", 1)
        gate.release()
        await server.reaches("stillcue_running_jobs", 0)
        await encoders.all_closed()
    assert len(encoders.opened) == 5
