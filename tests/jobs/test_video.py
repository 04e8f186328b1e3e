"""The video file of a job: which frames a chunk has, their order, and when the encoder is closed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from engine.api.errors import VideoFailed
from engine.api.events import FrameReady
from engine.api.media import Pixels
from server.jobs.messages import VideoChunk
from server.jobs.video import VideoTrack
from tests.jobs.scripted import HandDrivenExecutor


class PlainEncoder:
    """The file is the first byte of every frame."""

    media_type = "video/plain"

    def __init__(self) -> None:
        self.encoded: list[int] = []
        self.close_count = 0
        self.error: VideoFailed | None = None

    def encode(self, frames: Sequence[Pixels]) -> bytes:
        if self.error is not None:
            raise self.error
        self.encoded += [int(pixels[0, 0, 0]) for pixels in frames]
        return bytes(self.encoded[-len(frames) :])

    def close(self) -> None:
        self.close_count += 1


class Track:
    def __init__(self) -> None:
        self.opened: list[PlainEncoder] = []
        self.executor = HandDrivenExecutor()
        self.track = VideoTrack(self._open, self.executor)

    @property
    def encoder(self) -> PlainEncoder:
        return self.opened[0]

    async def run_all(self) -> None:
        while self.executor.work:
            await self.executor.run()

    def _open(self) -> PlainEncoder:
        self.opened.append(PlainEncoder())
        return self.opened[-1]


def frame(index: int, height_px: int = 2, width_px: int = 2) -> FrameReady:
    return FrameReady(index, np.full((height_px, width_px, 3), index, np.uint8))


def numbers(frames: Sequence[Pixels]) -> list[int]:
    return [int(pixels[0, 0, 0]) for pixels in frames]


@pytest.mark.parametrize(
    ("size", "chunks"),
    [
        ((2, 2), [[0], [1, 2, 3, 4], [5, 6, 7, 8]]),
        ((1223, 1000), [[0], [1, 2, 3, 4], [5, 6, 7, 8]]),  # 4 frames of 4:2:0 in just under 7 MiB
        ((1224, 1000), [[0], [1, 2, 3], [4], [5, 6, 7], [8]]),
        ((1088, 1920), [[0], [1, 2], [3, 4], [5, 6], [7, 8]]),
        ((4000, 4000), [[index] for index in range(9)]),
    ],
    ids=lambda value: "x".join(map(str, value)) if isinstance(value, tuple) else "",
)
async def test_the_frames_of_each_chunk(size: tuple[int, int], chunks: list[list[int]]) -> None:
    track = Track().track
    taken = [numbers(track.take(frame(index, *size))) for index in range(9)]
    assert [frames for frames in taken if frames] == chunks


async def test_chunks_are_encoded_one_after_the_other_by_one_encoder() -> None:
    track = Track()
    works = [track.track.encode([frame(index).pixels]) for index in range(3)]
    assert track.opened == []
    assert len(track.executor.work) == 1  # the others wait for it
    await track.executor.run()
    assert [work.done() for work in works] == [True, False, False]
    assert len(track.executor.work) == 1
    track.track.finish()
    await track.run_all()
    assert [work.result().chunk for work in works] == [
        VideoChunk(0, b"\0", 1, "video/plain"),
        VideoChunk(1, b"\1", 1, ""),
        VideoChunk(2, b"\2", 1, ""),
    ]
    assert all(work.result().seconds >= 0 for work in works)
    assert len(track.opened) == 1
    assert track.encoder.close_count == 1


async def test_a_file_that_nobody_needs_is_not_encoded_on() -> None:
    track = Track()
    works = [track.track.encode([frame(index).pixels]) for index in range(3)]
    track.track.drop()
    late = track.track.encode([frame(3).pixels])
    assert [work.cancelled() for work in (*works, late)] == [False, True, True, True]
    await track.run_all()
    assert works[0].result().chunk.data == b"\0"
    assert track.encoder.encoded == [0]
    assert track.encoder.close_count == 1


async def test_an_encoder_that_fails_is_closed_and_gets_no_further_frame() -> None:
    track = Track()
    await_first = track.track.encode([frame(0).pixels])
    await track.executor.run()
    assert await_first.result().chunk.index == 0
    track.encoder.error = VideoFailed("broken")
    works = [track.track.encode([frame(index).pixels]) for index in (1, 2)]
    await track.executor.run()
    assert works[0].exception() is track.encoder.error
    assert works[1].cancelled()
    await track.run_all()
    assert track.encoder.encoded == [0]
    assert track.encoder.close_count == 1
    assert len(track.opened) == 1


async def test_a_file_without_a_frame_opens_no_encoder() -> None:
    track = Track()
    assert track.track.take(frame(1)) == ()
    track.track.finish()
    track.track.drop()
    assert track.executor.work == []
    assert track.opened == []
