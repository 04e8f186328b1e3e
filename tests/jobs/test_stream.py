"""The stream of a job: encoding, the order of pictures, stamps of messages, errors of the encoder."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from engine.api.chain import SegmentStarted
from server.errors.refusals import BufferFull, EventsDropped
from server.jobs.attempts import AttemptResult
from server.jobs.messages import QueueMoved
from server.jobs.resume_token import Progress, ResumeToken, Run
from server.jobs.stream import JobStream
from server.jobs.video import EncodedChunk
from tests.jobs.chains import segment_done
from tests.jobs.scripted import (
    DENOISE,
    MATCH,
    RUN,
    TEXT,
    Clock,
    HandDrivenExecutor,
    PlainEncoder,
    PlainMessage,
    digest_of,
    name_of,
    prepared,
)

if TYPE_CHECKING:
    from server.jobs.messages import StreamEvent


class Stream:
    """A stream whose request arrived at second 100; it is second 103 now."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        *,
        run: Run | None = None,
        received: Progress = Progress(),
        **pictures: int,
    ) -> None:
        self.clock = Clock(103.0)
        monkeypatch.setattr("server.jobs.stream.time", self.clock)
        stages = {"match": MATCH, "denoise": DENOISE}
        self.encoder = PlainEncoder({stages[name]: byte_count for name, byte_count in pictures.items()})
        self.executor = HandDrivenExecutor()
        self.overflow_count = 0
        self.errors: list[BaseException] = []
        self.chunks: list[EncodedChunk] = []
        self.stream = JobStream(
            self.encoder,
            self.executor,
            prepared().settings,
            max_bytes=100,
            run=run,
            received=received,
            arrived_at=100.0,
            on_overflow=self._overflow,
            on_encoding_error=self.errors.append,
            on_video=self.chunks.append,
        )

    def _overflow(self) -> None:
        self.overflow_count += 1

    async def read(self, number: int = 0) -> list[PlainMessage]:
        return [cast("PlainMessage", message) async for message in self.stream.messages(number)]


async def test_messages_are_stamped_with_number_time_and_the_token_of_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = Stream(monkeypatch, run=RUN)
    stream.stream.put(TEXT)
    stream.clock.seconds = 104.5
    stream.stream.put(MATCH)
    states = [stream.stream.is_over]
    stream.stream.finish(None)
    assert [*states, stream.stream.is_over] == [False, True]
    received = [Progress(1, 1, digest_of(TEXT), 3.0), Progress(2, 2, digest_of(TEXT, MATCH), 4.5)]
    tokens = [ResumeToken(RUN, progress).encode() for progress in received]
    for number in (0, 0):
        messages = await stream.read(number)
        assert [message.event for message in messages] == [TEXT, MATCH]
        assert [message.stamps for message in messages] == [[(0, 3.0, tokens[0])], [(1, 4.5, tokens[1])]]
    assert [message.event for message in await stream.read(1)] == [MATCH]
    assert stream.stream.held_bytes == 20


async def test_every_message_tells_its_attempt_and_its_segment(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Stream(monkeypatch, run=RUN)
    result = AttemptResult(1, 7, is_accepted=False, success=None, work_seconds=1.0)
    events: list[tuple[StreamEvent, int]] = [
        (QueueMoved(0, None), 0),
        (TEXT, 1),
        (SegmentStarted(1, 2), 2),
        (TEXT, 2),
        (SegmentStarted(2, 2), 2),
        (TEXT, 2),
        (segment_done(2), 2),
        (result, 2),
        (QueueMoved(0, None), 0),
        (SegmentStarted(1, 2), 3),
    ]
    for event, attempt in events:
        stream.stream.put(event, attempt)
    stream.stream.finish(None)
    origins = [message.origin for message in await stream.read()]
    assert origins == [(0, 0), (1, 1), (2, 1), (2, 1), (2, 2), (2, 2), (2, 2), (2, 0), (0, 0), (3, 1)]


async def test_a_stream_that_cannot_be_resumed_has_no_tokens_and_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Stream(monkeypatch)
    stream.stream.put(TEXT)
    assert stream.stream.held_bytes == 10
    stream.stream.finish(None)
    (message,) = await stream.read()
    assert message.stamps == [(0, 3.0, "")]
    assert stream.stream.held_bytes == 0
    with pytest.raises(EventsDropped):
        stream.stream.check(0)
    stream.stream.check(1)


async def test_pictures_are_compressed_on_the_pool_and_come_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Stream(monkeypatch, match=50, denoise=30)
    stream.stream.put(MATCH)
    stream.stream.put(DENOISE)
    stream.stream.put(TEXT)
    assert stream.stream.held_bytes == 50 + 30 + 10
    reading = asyncio.create_task(stream.read())
    await stream.executor.run(1)
    assert stream.stream.held_bytes == 50 + 10 + 10  # what is reserved gives way to what is encoded
    assert not reading.done()
    await stream.executor.run(0)
    stream.stream.finish(None)
    assert [name_of(message.event) for message in await reading] == ["match", "denoise", "encode_text"]
    assert stream.errors == []


async def test_an_error_of_the_stream_comes_after_its_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Stream(monkeypatch)
    stream.stream.put(TEXT)
    stream.stream.finish(ValueError("late"))
    messages = stream.stream.messages(0)
    assert cast("Any", await anext(messages)).event == TEXT
    with pytest.raises(ValueError, match="late"):
        await anext(messages)


async def test_a_failed_stream_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Stream(monkeypatch)
    stream.stream.put(TEXT)
    messages = stream.stream.messages(0)
    stream.stream.fail(ValueError("now"))
    assert (stream.stream.is_over, stream.stream.held_bytes) == (True, 0)
    with pytest.raises(ValueError, match="now"):
        await asyncio.wait_for(anext(messages), 1)


async def test_an_error_of_the_encoder_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Stream(monkeypatch, match=50)
    stream.encoder.error = ValueError("no PNG")
    stream.stream.put(MATCH)
    await stream.executor.run()
    assert stream.errors == [stream.encoder.error]


async def test_a_picture_that_is_dropped_with_its_pool_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Stream(monkeypatch, match=50)
    stream.stream.put(MATCH)
    ((_, future),) = stream.executor.work
    future.cancel()
    for _ in range(3):
        await asyncio.sleep(0)
    assert stream.errors == []
    assert stream.stream.held_bytes == 50


async def test_a_stream_that_nobody_reads_overflows_at_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Stream(monkeypatch, match=90, denoise=1)
    stream.stream.put(MATCH)
    stream.stream.put(TEXT)
    assert stream.overflow_count == 0
    messages = stream.stream.messages(0)
    stream.stream.put(DENOISE)
    assert stream.overflow_count == 1
    with pytest.raises(BufferFull, match="more than 100 bytes"):
        await anext(messages)
    await stream.executor.run()  # too late: the message has no place any more
    assert stream.stream.held_bytes == 0
