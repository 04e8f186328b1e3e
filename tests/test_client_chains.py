"""Chains in the Python client: the request, the events of each segment, older servers, a stream that breaks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import grpc
import pytest

import stillcue
from stillcue.ordering import OrderedDecoder
from stillcue.segment_text import describe_drift, segment_lines
from stillcue.v1 import generate_pb2, segments_pb2
from tests.client_values import CLIP
from tests.scripted_chain import (
    DRIFT,
    LOW_SCORE,
    MINIMUM_SCORE,
    RESULTS,
    SEGMENT_SETTINGS,
    a_chain,
    a_chain_that_ends_early,
    part_of,
)
from tests.scripted_report import REPORT
from tests.scripted_server import Response, ScriptedServer, a_clip, accepted, refuse, seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from google.protobuf.message import Message

_SEGMENTS = [stillcue.Segment("A boat leaves."), stillcue.Segment("Gulls rise.")]


def _summary_of(events: list[stillcue.Event]) -> stillcue.Summary:
    last = events[-1]
    assert isinstance(last, stillcue.Summary)
    return last


def test_segments_and_seconds_reach_their_fields(client: stillcue.Client, server: ScriptedServer) -> None:
    server.generate = a_chain
    given = [stillcue.Segment("A boat leaves.", 5, 0, 4.0, 3.0), stillcue.Segment("Gulls rise.")]
    list(client.generate(b"a picture", segments=given, frame_count=9))
    list(client.generate(b"a picture", "A boat leaves, then gulls rise.", seconds=1.125))
    first, second = server.requests
    assert isinstance(first, generate_pb2.GenerateRequest)
    assert isinstance(second, generate_pb2.GenerateRequest)
    assert (first.prompt, first.video) == ("", generate_pb2.VideoSpec(frame_count=9))
    assert list(first.segments) == [
        segments_pb2.SegmentSpec(
            prompt="A boat leaves.", frame_count=5, seed=0, guidance_scale=4.0, guidance_scale_low_noise=3.0
        ),
        segments_pb2.SegmentSpec(prompt="Gulls rise."),
    ]
    assert (second.video, len(second.segments)) == (generate_pb2.VideoSpec(seconds=1.125), 0)


def test_a_prompt_beside_segments_is_refused_before_the_call(client: stillcue.Client, server: ScriptedServer) -> None:
    with pytest.raises(ValueError, match="leave out prompt"):
        client.generate(b"a picture", "A boat.", segments=_SEGMENTS)
    assert server.requests == []


async def test_every_event_says_which_segment_it_belongs_to(client: stillcue.Client, server: ScriptedServer) -> None:
    server.generate = a_chain
    events = list(client.generate(b"a picture", segments=_SEGMENTS, request_id="an-id"))
    async with stillcue.AsyncClient(server.target) as other:
        assert [event async for event in other.generate(b"a picture", segments=_SEGMENTS, request_id="an-id")] == events
    first = events[0]
    assert isinstance(first, stillcue.Accepted)
    assert (first.settings.frame_count, first.settings.segments) == (9, SEGMENT_SETTINGS)
    kinds = [stillcue.SegmentStarted, stillcue.StageStarted, stillcue.MatchReport, stillcue.StageStarted]
    kinds += [stillcue.DenoiseProgress, stillcue.DenoiseProgress, stillcue.StageStarted]
    assert [(type(event), event.segment) for event in events] == [
        (stillcue.Accepted, 0),
        *((kind, 1) for kind in [*kinds, *[stillcue.Frame] * 5, stillcue.SegmentResult]),
        *((kind, 2) for kind in [*kinds, *[stillcue.Frame] * 4, stillcue.SegmentResult]),
        (stillcue.Summary, 0),
    ]
    assert {event.attempt for event in events[1:-1]} == {1}
    assert [event for event in events if isinstance(event, stillcue.SegmentStarted)] == [
        stillcue.SegmentStarted(1, 2),
        stillcue.SegmentStarted(2, 2),
    ]
    assert tuple(event for event in events if isinstance(event, stillcue.SegmentResult)) == RESULTS
    assert [event.index for event in events if isinstance(event, stillcue.Frame)] == list(range(9))
    summary = _summary_of(events)
    assert (summary.segments, summary.chain_drift, summary.chain_stop) == (RESULTS, DRIFT, None)
    assert (summary.frame_count, summary.settings) == (9, first.settings)


def test_a_chunk_of_a_video_file_belongs_to_a_segment(client: stillcue.Client, server: ScriptedServer) -> None:
    server.generate = a_chain
    options: Any = {"video_container": stillcue.VideoContainer.FRAGMENTED_MP4, "omit_frames": True}
    events = client.generate(b"a picture", segments=_SEGMENTS, **options)
    chunks = [event for event in events if isinstance(event, stillcue.VideoChunk)]
    assert [(chunk.index, chunk.segment) for chunk in chunks] == [(0, 1), (1, 1), (2, 2)]


def test_a_chain_that_ends_early_is_no_error(client: stillcue.Client, server: ScriptedServer) -> None:
    server.generate = a_chain_that_ends_early
    three = [*_SEGMENTS, stillcue.Segment("The fog lifts.")]
    events = list(
        client.generate(b"a picture", segments=three, match=stillcue.MatchMode.REQUIRE, minimum_match_score=40.0)
    )
    low = replace(REPORT, score=LOW_SCORE)
    assert [event for event in events if event.segment == 3] == [
        stillcue.SegmentStarted(3, 3),
        stillcue.StageStarted(stillcue.Stage.MATCH),
        low,
    ]
    summary = _summary_of(events)
    assert summary.chain_stop == stillcue.ChainStop(3, low, MINIMUM_SCORE)
    assert (summary.segments, summary.settings.frame_count, summary.frame_count) == (RESULTS, 13, 9)


def test_a_clip_of_one_segment_and_an_older_server_have_no_segments(
    client: stillcue.Client, server: ScriptedServer
) -> None:
    events = list(client.generate(b"a picture", "A boat.", request_id="an-id", preview_every_step_count=1))
    assert events == CLIP
    assert {event.segment for event in events} == {0}
    summary = _summary_of(events)
    assert (summary.settings.segments, summary.segments, summary.chain_drift, summary.chain_stop) == (
        (),
        (),
        None,
        None,
    )
    assert summary.frame_count == 5

    def newer(request: generate_pb2.GenerateRequest, context: Any) -> Iterator[Response]:
        for response in a_clip(request, context):
            is_of_job = response.WhichOneof("event") in {"accepted", "queue_update", "summary"}
            yield response if is_of_job else part_of(1, response)

    server.generate = newer
    assert {event.segment for event in client.generate(b"a picture", "A boat.")} == {0, 1}


def _two_of_three(request: generate_pb2.GenerateRequest, context: Any) -> Iterator[Response]:
    del request.segments[2:]
    yield from a_chain(request, context)


def _endless(request: generate_pb2.GenerateRequest, context: Any) -> Iterator[Response]:
    """An older server's clip, which its client must not read to the end."""
    yield accepted(request)
    yield from a_clip(request, context)
    while True:
        yield Response(queue_update=generate_pb2.QueueUpdate(position=1))


@pytest.mark.parametrize(
    ("options", "script", "ignored"),
    [
        ({"segments": _SEGMENTS}, _endless, "segments"),
        ({"segments": [*_SEGMENTS, stillcue.Segment("The fog lifts.")]}, _two_of_three, "segments"),
        ({"prompt": "A boat.", "seconds": 8.0}, _endless, "seconds"),
        ({"prompt": "A boat.", "seconds": 0.25}, _endless, "seconds"),  # 2 frames: 1 is nearest
        ({"prompt": "A boat.", "seconds": float("nan")}, _endless, "seconds"),
    ],
    ids=["segments", "fewer segments", "longer", "shorter", "no length"],
)
async def test_an_older_server_that_would_make_another_clip_is_refused_at_once(
    server: ScriptedServer, options: dict[str, Any], script: Callable[..., Iterator[Response]], ignored: str
) -> None:
    server.generate = script
    message = f"the server ignores {ignored}: it is older than this client; leave it out, or update the server"
    with stillcue.Client(server.target) as client:
        stream = client.generate(b"a picture", **options)
        with pytest.raises(stillcue.Unsupported) as caught:
            next(stream)
        assert (str(caught.value), caught.value.status, caught.value.request_id) == (
            message,
            "UNIMPLEMENTED",
            stream.request_id,
        )
        assert list(stream) == []
    async with stillcue.AsyncClient(server.target) as asynchronous:
        with pytest.raises(stillcue.Unsupported, match=f"ignores {ignored}"):
            await anext(asynchronous.generate(b"a picture", **options))
    assert server.cancelled.wait(10)


@pytest.mark.parametrize("length_seconds", [0.375, 0.5, 0.625, 0.875])  # 3 to 7 frames: 5 are nearest, or at 2
def test_seconds_that_the_default_length_has_anyway_are_no_fault(
    client: stillcue.Client, server: ScriptedServer, length_seconds: float
) -> None:
    assert list(client.generate(b"a picture", "A boat.", seconds=length_seconds))


def test_a_stream_that_breaks_in_the_second_segment_goes_on(server: ScriptedServer) -> None:
    calls: list[generate_pb2.GenerateRequest] = []

    def breaking(request: generate_pb2.GenerateRequest, context: Any) -> Iterator[Response]:
        calls.append(request)
        responses = list(a_chain(calls[0], context))
        responses[0].accepted.resume_window.CopyFrom(seconds(30))
        middle = next(number for number, item in enumerate(responses) if item.segment == 2 and item.HasField("frame"))
        for number, response in enumerate(responses):
            response.sequence_number, response.resume_token = number, f"after {number}"
        if len(calls) == 1:
            yield from responses[:middle]
            refuse(context, grpc.StatusCode.UNAVAILABLE, "the connection broke")
        assert request.resume_token == f"after {middle - 1}"
        yield from responses[middle:]

    server.generate = a_chain
    with stillcue.Client(server.target) as client:
        unbroken = list(client.generate(b"a picture", segments=_SEGMENTS, request_id="an-id"))
        server.generate = breaking
        assert list(client.generate(b"a picture", segments=_SEGMENTS, request_id="an-id")) == unbroken
    assert [len(call.segments) for call in calls] == [2, 0]  # the resuming call names the job by its token


def test_what_became_of_the_segments_in_words(client: stillcue.Client, server: ScriptedServer) -> None:
    server.generate = a_chain_that_ends_early
    three = [*_SEGMENTS, stillcue.Segment("The fog lifts.")]
    assert segment_lines(_summary_of(list(client.generate(b"a picture", segments=three)))) == [
        "segment 1: frames 0 to 4, match 62 of 100, good with 88 %, 1.50 s of work",
        "  ! Hardly anything moves.",
        "segment 2: frames 5 to 8, match 62 of 100, good with 88 %, 1.50 s of work",
        "  seam at frame 5: motion changes by 25.0 % of a side (inside 12.5 %), colours by 6.2 % (inside 3.1 %)",
        "  ! Hardly anything moves.",
        "from beginning to end: the subject at the end is 75 % alike, the clip returns to its beginning by 12 %",
        "segment 3 was not made: its sentence matches the frame that it would begin from with 30 of 100, below 40; "
        "let it go on from what that frame shows, or require less",
    ]
    assert segment_lines(_summary_of(CLIP)) == []
    assert describe_drift(stillcue.ChainDrift(None, None)) == ""


def test_what_was_not_measured_is_none_and_left_out() -> None:
    bare = segments_pb2.SegmentResult(number=1, frame_count=5)
    first = accepted(generate_pb2.GenerateRequest(request_id="an-id"))
    decoder = OrderedDecoder(generate_pb2.GenerateRequest())
    decoder.decode(first)
    result = decoder.decode(part_of(1, Response(segment_ended=bare)))
    assert result == stillcue.SegmentResult(1, 0, 5, None, None, None, 0.0, None)
    assert isinstance(result, stillcue.SegmentResult)
    drift = stillcue.ChainDrift(None, None)
    assert segment_lines(replace(_summary_of(CLIP), segments=(result,), chain_drift=drift)) == [
        "segment 1: frames 0 to 4, 0.00 s of work"
    ]


@pytest.mark.parametrize("kind", [segments_pb2.SegmentResult, segments_pb2.ChainStop, segments_pb2.SegmentSettings])
def test_the_scripted_messages_leave_no_field_of_a_segment_out(kind: Any, server: ScriptedServer) -> None:
    found: list[Message] = []
    request = generate_pb2.GenerateRequest(segments=[segments_pb2.SegmentSpec(prompt="A boat.")] * 3)
    for response in a_chain_that_ends_early(request, None):
        found += [*response.summary.segments, response.summary.chain_stop, *response.summary.settings.segments]
    names = {field.name for item in found if isinstance(item, kind) for field, _ in item.ListFields()}
    assert names == set(kind.DESCRIPTOR.fields_by_name)
