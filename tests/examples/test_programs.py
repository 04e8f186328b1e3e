"""The example programs against a real server with the fake engine: what they print, write, send again and cancel."""

from __future__ import annotations

import signal
from threading import Semaphore
from typing import TYPE_CHECKING

import pytest

import stillcue
from engine.testing.fake_engine import FakeEngine
from server.security.callers import hash_of
from tests.certificates import Signer
from tests.examples.running import finished, started
from tests.relay import Relay
from tests.serving import PROMPT, png, served

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.examples
CALL_COUNT = 10  # match, text, picture, 4 steps, 3 parts of the decoding
SEED = 7
TOKEN = "stillcue_a-secret-of-this-test"
HANDLED = (
    "grpc_server_handled_total{grpc_code=OK,grpc_method=Generate,grpc_service=stillcue.v1.StillcueService,"
    "grpc_type=server_stream}"
)
STEPS = [f"step {step} of 4" for step in range(1, 5)]
VIDEO = ["video: 1 frames more", "video: 4 frames more", "video: 4 frames more"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the run, with the picture."""
    (tmp_path / "boat.png").write_bytes(png())
    return tmp_path


async def events_of_python(target: str) -> tuple[bytes, list[bytes]]:
    """The file and the PNG frames that the Python client gets for the same seed."""
    async with stillcue.AsyncClient(target) as client:
        stream = client.generate(png(), PROMPT, seed=SEED, video_container=stillcue.VideoContainer.FRAGMENTED_MP4)
        events = [event async for event in stream]
    chunks = [event.data for event in events if isinstance(event, stillcue.VideoChunk)]
    return b"".join(chunks), [event.data for event in events if isinstance(event, stillcue.Frame)]


def progress(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith(("step", "frame", "video"))]


async def test_the_clip_is_that_of_the_python_client(program: list[str], folder: Path) -> None:
    async with served(FakeEngine()) as server:
        target = str(server.address)
        video, frames = await events_of_python(target)
        words = ("boat.png", PROMPT, "--server", target, "--seed", str(SEED), "--frames", "9")
        code, out, lines = await finished(program, *words, "--out", "clip.mp4", folder=folder)
        assert (code, out) == (0, "clip.mp4: seed 7, 9 frames\n"), lines
        assert (folder / "clip.mp4").read_bytes() == video
        assert lines[0] == "match: 60 of 100, doubtful"
        assert lines[1] == "advice: 1.125 s is too short to show an action. Ask for 4 to 8 s."
        assert progress(lines) == STEPS + VIDEO
        code, out, lines = await finished(program, *words, "--out", "frames", folder=folder)
        assert (code, out) == (0, "frames: seed 7, 9 frames\n"), lines
        assert [path.read_bytes() for path in sorted((folder / "frames").iterdir())] == frames
        assert progress(lines) == STEPS + [f"frame {index}" for index in range(9)]
        await server.reaches(HANDLED, 3)  # the programs read to the end
    assert sorted(path.name for path in folder.iterdir()) == ["boat.png", "clip.mp4", "frames"]


async def test_wrong_fields_are_named(program: list[str], folder: Path) -> None:
    async with served(FakeEngine()) as server:
        words = ("boat.png", PROMPT, "--server", str(server.address), "--frames", "10", "--out", "clip.mp4")
        code, out, lines = await finished(program, *words, folder=folder)
    assert (code, out) == (1, "")
    assert lines == [
        "INVALID_ARGUMENT INVALID_JOB: frame_count: is 10, not 4n + 1; the nearest is 9",
        "  frame_count: is 10, not 4n + 1; the nearest is 9",
    ]
    assert [path.name for path in folder.iterdir()] == ["boat.png"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["boat.png", PROMPT], "--out is missing: a file that ends in .mp4, or a folder"),
        (["boat.png", PROMPT, "--out", "."], "--out . exists; name a new folder"),
        (
            ["boat.png", "two", "sentences", "--out", "clip.mp4"],
            "exactly one picture and one sentence are needed; put the sentence in quotes",
        ),
        (
            ["boat.png", PROMPT, "--out", "clip.mp4", "--server", "gpu-1.example:50051", "--plaintext"],
            "the token would cross the network to gpu-1.example:50051 in plain text; leave out --plaintext",
        ),
    ],
)
async def test_wrong_command_lines_make_no_call(
    program: list[str], folder: Path, words: list[str], message: str
) -> None:
    code, out, lines = await finished(program, *words, folder=folder, STILLCUE_TOKEN=TOKEN)
    assert (code, out, lines[0]) == (2, "", message)
    assert lines[1].startswith("usage: generate PICTURE SENTENCE")
    assert TOKEN not in "".join(lines)


async def test_a_refused_call_is_made_again_after_the_advised_time(program: list[str], folder: Path) -> None:
    gate = Semaphore(0)
    async with served(FakeEngine(gate=gate), queue_capacity=0) as server:
        target = str(server.address)
        words = ("boat.png", PROMPT, "--server", target, "--out", "clip.mp4", "--seed", str(SEED))
        async with stillcue.AsyncClient(target) as client:
            other = client.generate(png(), PROMPT, seed=SEED)
            await anext(other)
            code, out, lines = await finished(program, *words, "--wait", "0", folder=folder)
            assert (code, out) == (1, "")
            assert lines[-1].startswith("RESOURCE_EXHAUSTED QUEUE_FULL: the queue is full")
            async with started(program, *words, folder=folder) as run:
                assert await run.until("RESOURCE_EXHAUSTED") == "RESOURCE_EXHAUSTED QUEUE_FULL: again in 5.0 s"
                gate.release(2 * CALL_COUNT)
                assert isinstance([event async for event in other][-1], stillcue.Summary)
                assert await run.end() == (0, "clip.mp4: seed 7, 9 frames\n")
        assert await server.sample("stillcue_jobs_total{outcome=completed}") == 2
        assert await server.sample("stillcue_jobs_rejected_total{reason=queue_full}") == 2


async def test_a_broken_stream_goes_on(program: list[str], folder: Path) -> None:
    gate = Semaphore(4)
    engine = FakeEngine(gate=gate)
    async with served(engine) as server:
        with Relay(server.port) as relay:
            words = ("boat.png", PROMPT, "--server", relay.target, "--out", "clip.mp4", "--seed", str(SEED))
            async with started(program, *words, folder=folder) as run:
                for shown, call_count in (("step 1", 4), ("video: 1", 2)):
                    await run.until(shown)
                    relay.cut()
                    await run.until("UNAVAILABLE: again in 0.")
                    gate.release(call_count)
                assert await run.end() == (0, "clip.mp4: seed 7, 9 frames\n")
        assert progress(run.lines) == STEPS + VIDEO
        assert await server.sample("stillcue_streams_resumed_total") == 2
        assert await server.sample("stillcue_jobs_total{outcome=completed}") == 1
        assert len(engine.graph_calls) == CALL_COUNT
        gate.release(CALL_COUNT)
        assert (folder / "clip.mp4").read_bytes() == (await events_of_python(str(server.address)))[0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_an_interrupt_ends_the_job_on_the_server(program: list[str], folder: Path, number: int) -> None:
    gate = Semaphore(4)
    async with served(FakeEngine(gate=gate)) as server:
        words = ("boat.png", PROMPT, "--server", str(server.address), "--out", "clip.mp4")
        async with started(program, *words, folder=folder) as run:
            await run.until("step 1")
            run.process.send_signal(number)
            await server.reaches("stillcue_jobs_total{outcome=cancelled}", 1)
            gate.release()
            assert await run.end() == (130, "")
        assert run.lines[-1] == "cancelled"
    assert [path.name for path in folder.iterdir()] == ["boat.png"]


async def test_a_deadline_ends_the_run(program: list[str], folder: Path) -> None:
    gate = Semaphore(4)
    async with served(FakeEngine(gate=gate)) as server:
        words = ("boat.png", PROMPT, "--server", str(server.address), "--out", "clip.mp4", "--timeout", "2")
        code, out, lines = await finished(program, *words, folder=folder)
        assert (code, out) == (1, "")
        assert lines[-1].startswith("DEADLINE_EXCEEDED")
        assert not await server.sample("stillcue_jobs_total{outcome=completed}")
        gate.release(CALL_COUNT)
    assert [path.name for path in folder.iterdir()] == ["boat.png"]


async def test_a_token_goes_over_tls(program: list[str], folder: Path) -> None:
    signer = Signer()
    (folder / "ca.pem").write_bytes(signer.pem)
    (folder / "token").write_text(f"{TOKEN}\n")
    (folder / "callers").write_text(f"render {hash_of(TOKEN)}\n")
    files = signer.sign("localhost", "127.0.0.1").write(folder, "server")
    async with served(FakeEngine(), **files, callers=folder / "callers") as server:
        words = ("boat.png", PROMPT, "--server", str(server.address), "--tls-ca", "ca.pem", "--out", "clip.mp4")
        code, _, lines = await finished(program, *words, folder=folder)
        assert code == 1
        assert lines[-1].startswith("UNAUTHENTICATED TOKEN_MISSING: ")
        code, out, lines = await finished(program, *words, "--token-file", "token", "--seed", "7", folder=folder)
        assert (code, out) == (0, "clip.mp4: seed 7, 9 frames\n"), lines
