"""The example programs in a fleet: a job goes on at another server, and calls carry what a proxy routes by."""

from __future__ import annotations

from dataclasses import replace
from threading import Semaphore
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.rpc import error_details_pb2

from engine.testing.fake_engine import FAKE_CAPABILITIES, FakeEngine
from stillcue.v1 import generate_pb2
from tests.examples.running import finished, started
from tests.examples.test_programs import CALL_COUNT, STEPS, VIDEO, events_of_python, progress
from tests.relay import Relay
from tests.scripted_server import Response, ScriptedServer, accepted, refuse, seconds, serving, summary, video_chunk
from tests.serving import PROMPT, png, served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.examples
KEY = "0123456789abcdef"
TOKEN = f"{KEY}.rest"
OTHER = replace(FAKE_CAPABILITIES, bundle_digest="2" * 64)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "boat.png").write_bytes(png())
    return tmp_path


async def test_another_server_goes_on_where_the_first_is_gone(program: list[str], folder: Path) -> None:
    gate = Semaphore(8)  # the first server stops before the second part of the clip
    engine = FakeEngine()
    async with served(FakeEngine(gate=gate), replica="one") as first, served(engine, replica="two") as second:
        with Relay(first.port) as relay:
            words = ("boat.png", PROMPT, "--server", relay.target, "--out", "clip.mp4", "--seed", "7")
            async with started(program, *words, folder=folder) as run:
                await run.until("video: 1 frames more")
                relay._target_port = second.port
                relay.cut()
                assert await run.end() == (0, "clip.mp4: seed 7, 9 frames\n")
        assert progress(run.lines) == STEPS + VIDEO
        assert run.lines[-3] == "NOT_FOUND JOB_NOT_FOUND: again in 0.0 s"
        assert len(engine.graph_calls) == CALL_COUNT
        assert (folder / "clip.mp4").read_bytes() == (await events_of_python(str(second.address)))[0]
        gate.release(CALL_COUNT)


async def test_calls_carry_the_key_of_the_server_and_wait_for_a_free_one(program: list[str], folder: Path) -> None:
    info = error_details_pb2.ErrorInfo(reason="NO_REPLICA_FREE", domain="stillcue")
    retry = error_details_pb2.RetryInfo(retry_delay=seconds(0.2))
    calls: list[generate_pb2.GenerateRequest] = []

    def numbered(*responses: Response, start: int) -> Iterator[Response]:
        for number, response in enumerate(responses, start=start):
            response.sequence_number = number
            response.resume_token = TOKEN
            yield response

    def script(request: generate_pb2.GenerateRequest, context: Any) -> Iterator[Response]:
        calls.append(request)
        opening = accepted(request)
        opening.accepted.resume_window.CopyFrom(seconds(30))
        if len(calls) == 2:
            yield from numbered(opening, video_chunk(0), start=0)
            refuse(context, grpc.StatusCode.UNAVAILABLE, "the connection broke")
        elif len(calls) == 4:
            missing = error_details_pb2.ErrorInfo(reason="JOB_NOT_FOUND", domain="stillcue")
            missing.metadata["can_repeat"] = "true"
            refuse(context, grpc.StatusCode.NOT_FOUND, "no such job", missing)
        elif len(calls) == 5:
            yield from numbered(video_chunk(1), summary(request), start=2)
            refuse(context, grpc.StatusCode.UNAVAILABLE, "the connection broke")
        refuse(context, grpc.StatusCode.UNAVAILABLE, "all servers are busy", info, retry)

    with serving(ScriptedServer(generate=script)) as server:
        words = ("boat.png", PROMPT, "--server", server.target, "--out", "clip.mp4")
        code, out, lines = await finished(program, *words, folder=folder)
    assert (code, out) == (0, "clip.mp4: seed 7, 5 frames\n"), lines
    assert (folder / "clip.mp4").read_bytes() == b"chunk 0;chunk 1;"
    first, again, resuming, refused, whole = calls
    assert first == again
    assert not first.resume_token
    assert resuming == refused == generate_pb2.GenerateRequest(request_id=first.request_id, resume_token=TOKEN)
    first.resume_token = TOKEN
    assert whole == first
    metadata = server.metadata[1:]  # the first is that of ScoreMatch
    assert [item.get("stillcue-replica") for item in metadata] == [None, None, KEY, KEY, None]


async def test_a_server_that_makes_other_clips_ends_the_run(program: list[str], folder: Path) -> None:
    gate = Semaphore(8)
    async with (
        served(FakeEngine(gate=gate), replica="one") as first,
        served(FakeEngine(capabilities=OTHER), replica="two") as second,
    ):
        with Relay(first.port) as relay:
            words = ("boat.png", PROMPT, "--server", relay.target, "--out", "clip.mp4", "--seed", "7")
            async with started(program, *words, folder=folder) as run:
                await run.until("video: 1 frames more")
                relay._target_port = second.port
                relay.cut()
                assert await run.end() == (1, "")
        assert run.lines[-1].startswith("FAILED_PRECONDITION REPLICA_DIFFERS: ")
        gate.release(CALL_COUNT)
    assert [path.name for path in folder.iterdir()] == ["boat.png"]
