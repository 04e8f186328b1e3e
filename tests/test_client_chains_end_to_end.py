"""Chains from the client through a real server to the fake engine, whose frames can be computed by hand."""

from __future__ import annotations

import asyncio
from threading import Semaphore
from typing import TYPE_CHECKING, Any

import av
import pytest

import stillcue
from engine.testing.fake_engine import FakeEngine
from examples.python import stages
from stillcue.cli import main
from tests.comfyui.stillcue_server import serving
from tests.relay import Relay
from tests.serving import PATIENCE_SECONDS, png, served

if TYPE_CHECKING:
    from pathlib import Path

# 6, 5 and 4 words: scores 60, 50 and 40. Each further segment adds 9 - 5 frames.
SENTENCES = ("a red fox turns its head", "it walks to the left", "it sits down slowly")
SEGMENTS = [stillcue.Segment(sentence) for sentence in SENTENCES]
OPTIONS: stillcue.GenerateOptions = {"seed": 7, "frame_encoding": stillcue.FrameEncoding.RAW_RGB, "segments": SEGMENTS}
FIRST_FRAMES = (0, 9, 13, 17)
FRAME_COUNT = 17


def _frames(events: list[stillcue.Event]) -> list[tuple[int, ...]]:
    """The colour of each frame."""
    return [tuple(event.data[:3]) for event in events if isinstance(event, stillcue.Frame)]


def _colours(segment_count: int = 3) -> list[tuple[int, ...]]:
    """Red: seed of the segment + index; green: index; blue: length of the segment's sentence."""
    return [
        (7 + number + index, index, len(SENTENCES[number]))
        for number in range(segment_count)
        for index in range(FIRST_FRAMES[number], FIRST_FRAMES[number + 1])
    ]


def _summary(events: list[stillcue.Event]) -> stillcue.Summary:
    last = events[-1]
    assert isinstance(last, stillcue.Summary)
    return last


def _of(segment: int, events: list[stillcue.Event]) -> list[stillcue.Event]:
    return [event for event in events if event.segment == segment]


def _kinds(events: list[stillcue.Event]) -> list[type]:
    return [type(event) for event in events if not isinstance(event, stillcue.QueueUpdate)]


async def _events(target: str, prompt: str = "", **options: Any) -> list[stillcue.Event]:
    async with stillcue.AsyncClient(target) as client:
        return [event async for event in client.generate(png(), prompt, **options)]


async def test_a_chain_of_three_sentences() -> None:
    async with served(FakeEngine()) as server:
        events = await _events(str(server.address), **OPTIONS)
    assert _frames(events) == _colours()
    first, summary = events[0], _summary(events)
    assert isinstance(first, stillcue.Accepted)
    assert [item.prompt for item in first.settings.segments] == list(SENTENCES)
    assert [item.seed for item in first.settings.segments] == [7, 8, 9]
    assert [event.score for event in events if isinstance(event, stillcue.MatchReport)] == [60.0, 50.0, 40.0]
    results = [event for event in events if isinstance(event, stillcue.SegmentResult)]
    assert summary.segments == tuple(results)
    assert [(item.first_frame_index, item.frame_count) for item in results] == [(0, 9), (9, 4), (13, 4)]
    assert [None if item.seam is None else item.seam.frame_index for item in results] == [None, 9, 13]
    assert (summary.frame_count, summary.chain_drift) == (FRAME_COUNT, stillcue.ChainDrift(0.9, 0.1))
    assert {event.segment for event in events} == {0, 1, 2, 3}
    numbers = [event.segment for event in events if event.segment]
    assert numbers == sorted(numbers)


@pytest.mark.parametrize("options", [{"seconds": 3.0}, {"frame_count": 25}], ids=["seconds", "frames"])
async def test_a_length_alone_makes_a_chain_of_the_sentence(options: dict[str, Any]) -> None:
    async with served(FakeEngine()) as server:
        events = await _events(str(server.address), "A fox first looks up, then it runs away.", **options)
    assert [event.index for event in events if isinstance(event, stillcue.Frame)] == list(range(25))
    assert len(_summary(events).segments) == len(_summary(events).settings.segments) == 2


async def test_one_segment_is_a_plain_clip() -> None:
    async with served(FakeEngine()) as server:
        one_segment: dict[str, Any] = {**OPTIONS, "segments": SEGMENTS[:1]}
        one = await _events(str(server.address), **one_segment)
        plain = await _events(str(server.address), SENTENCES[0], **{**one_segment, "segments": ()})
    assert _frames(one) == _frames(plain)
    assert [type(event) for event in one] == [type(event) for event in plain]
    assert (_summary(one).segments, _summary(one).chain_drift, _summary(one).frame_count) == ((), None, 9)
    assert {event.segment for event in one} == {0, 1}


async def test_a_chain_that_a_low_match_ends() -> None:
    strict: dict[str, Any] = {"match": stillcue.MatchMode.REQUIRE, "minimum_match_score": 45.0}
    async with served(FakeEngine()) as server:
        events = await _events(str(server.address), **OPTIONS, **strict)
        with pytest.raises(stillcue.MatchRefused):
            await _events(str(server.address), **OPTIONS, **{**strict, "minimum_match_score": 65.0})
    assert _frames(events) == _colours(2)
    summary = _summary(events)
    assert summary.chain_stop is not None
    assert (summary.chain_stop.segment, summary.chain_stop.minimum_score) == (3, 45.0)
    assert (summary.chain_stop.match_report.score, summary.frame_count) == (40.0, 13)


async def test_a_stream_that_is_cut_in_later_segments_goes_on() -> None:
    async with served(FakeEngine()) as server:
        unbroken = await _events(str(server.address), **OPTIONS)
    gate = Semaphore(0)
    async with served(FakeEngine(gate=gate)) as server:
        with Relay(server.port) as relay:
            async with stillcue.AsyncClient(relay.target) as client, asyncio.timeout(2 * PATIENCE_SECONDS):
                stream = client.generate(png(), **OPTIONS)
                events: list[stillcue.Event] = []
                # The engine waits after the first step of a segment: 10 calls for the first segment, 9 for each other.
                for segment, call_count in ((2, 13), (3, 9)):
                    gate.release(call_count)
                    while not any(isinstance(event, stillcue.DenoiseProgress) for event in _of(segment, events)):
                        events.append(await anext(stream))
                    relay.cut()
                gate.release(100)
                events += [event async for event in stream]
        assert await server.sample("stillcue_streams_resumed_total") == 2
    assert _kinds(events) == _kinds(unbroken)
    assert _frames(events) == _colours()


async def test_attempts_repeat_the_whole_chain() -> None:
    """A segment of seed s succeeds with (s % 10) / 10, and the worst one counts: seeds 3 to 5, 4 to 6, 5 to 7."""
    options: dict[str, Any] = {
        **OPTIONS,
        "seed": 3,
        "attempts": stillcue.Attempts(4, frames=stillcue.AttemptFrames.ACCEPTED),
    }
    async with served(FakeEngine()) as server:
        events = await _events(str(server.address), **options)
    assert [event.number for event in events if isinstance(event, stillcue.AttemptResult)] == [1, 2, 3]
    results = [event for event in events if isinstance(event, stillcue.SegmentResult)]
    assert [(event.attempt, event.segment) for event in results] == [(k, n) for k in (1, 2, 3) for n in (1, 2, 3)]
    assert _summary(events).segments == tuple(results[6:])
    assert len(_frames(events)) == FRAME_COUNT


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "fox.png"
    path.write_bytes(png())
    return path


def _decoded_count(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


@pytest.mark.parametrize("encoder", ["client", "server"])
def test_the_command_line_writes_a_chain_and_what_is_finished_of_one(picture: Path, encoder: str) -> None:
    clip = picture.with_name("clip.mp4")
    words = ["generate", str(picture), "-o", str(clip), "--encoder", encoder]
    words += [word for sentence in SENTENCES for word in ("--stage", sentence)]
    with serving(FakeEngine()) as server:
        words += ["--server", server.address]
        assert main(words) == 0
        assert _decoded_count(clip) == FRAME_COUNT
        assert main([*words, "--require-match", "45"]) == 3
        assert _decoded_count(clip) == 13
        assert main([*words, "--require-match", "65"]) == 1
        assert _decoded_count(clip) == 13


def test_the_example_keeps_a_file_that_plays_where_it_stops(picture: Path) -> None:
    clip = picture.with_name("clip.mp4")
    with serving(FakeEngine()) as server:
        words = [str(picture), str(clip), *SENTENCES, "--server", server.address, "--lowest"]
        assert stages.main([*words, "45"]) == 3
        assert _decoded_count(clip) == 13
        assert stages.main([*words, "40"]) == 0
        assert _decoded_count(clip) == FRAME_COUNT


def test_wrong_segments_have_the_names_of_options(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["generate", str(picture), "-o", str(picture.with_name("clip.mp4")), "--stage", SENTENCES[0]]
    with serving(FakeEngine()) as server:
        words += ["--server", server.address]
        assert main([*words, "--stage", " "]) == 1
        told = capsys.readouterr().err
        assert "\n  --stage (segment 2) is empty; name the subject of the picture and what it does\n" in told
        assert main([*words, *["--stage", SENTENCES[1]] * 12]) == 1
        assert "\n  --stage are 13, more than the limit of 12; send fewer\n" in capsys.readouterr().err


async def test_capabilities_state_what_chains_the_server_makes() -> None:
    async with served(FakeEngine()) as server, stillcue.AsyncClient(str(server.address)) as client:
        assert (await client.capabilities()).chains == stillcue.ChainSupport(12, 5, 149)
