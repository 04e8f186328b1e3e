"""The web example: what its calls answer, and the page in Chromium, where the clip plays."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import shutil
from contextlib import asynccontextmanager
from threading import Semaphore
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import uvicorn

import stillcue
from engine.testing.fake_engine import FakeEngine
from examples.web.service import MAX_BODY_BYTES, MAX_PICTURE_BYTES, create_app
from tests.examples.test_programs import CALL_COUNT
from tests.serving import PATIENCE_SECONDS, PROMPT, png, served

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.examples
CHROMIUM = shutil.which("chromium")
FRAME_RATE = 8.0


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> Any:
    def name(server: str) -> None:
        monkeypatch.setenv("STILLCUE_SERVER", server)

    return name


@asynccontextmanager
async def web() -> AsyncIterator[str]:
    """Serves the example on a free port; its address."""
    config = uvicorn.Config(create_app(), host="127.0.0.1", port=0, log_level="warning", lifespan="on")
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not server.started:
            assert not running.done(), running
            await asyncio.sleep(0.002)
    try:
        host, port = server.servers[0].sockets[0].getsockname()
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        await running


def form(picture: bytes = png(), sentence: str | None = PROMPT) -> aiohttp.FormData:
    data = aiohttp.FormData()
    data.add_field("picture", io.BytesIO(picture), filename="boat.png", content_type="image/png")
    if sentence is not None:
        data.add_field("sentence", sentence)
    return data


async def clip_of(session: aiohttp.ClientSession, address: str) -> list[dict[str, Any]]:
    async with session.post(f"{address}/clips", data=form()) as response:
        assert (response.status, response.content_type) == (200, "application/x-ndjson")
        return [json.loads(line) async for line in response.content]


async def problem_of(session: aiohttp.ClientSession, url: str, data: aiohttp.FormData) -> dict[str, Any]:
    async with session.post(url, data=data) as response:
        assert response.content_type == "application/problem+json"
        problem: dict[str, Any] = await response.json(content_type=None)
        assert problem["status"] == response.status
        retry = problem.get("retry_after_seconds")
        assert response.headers.get("Retry-After") == (None if retry is None else str(round(retry)))
        return problem


async def test_two_users_get_the_clips_of_the_python_client(target: Any) -> None:
    async with served(FakeEngine()) as server:
        target(str(server.address))
        async with web() as address, aiohttp.ClientSession() as session:
            clips = await asyncio.gather(*(clip_of(session, address) for _ in range(2)))
        async with stillcue.AsyncClient(str(server.address)) as client:
            for events in clips:
                kinds = [event["event"] for event in events if event["event"] != "queue"]
                assert kinds == ["accepted", *["step"] * 4, *["video"] * 3, "done"]
                options: stillcue.GenerateOptions = {
                    "seed": events[-1]["seed"],
                    "video_container": stillcue.VideoContainer.FRAGMENTED_MP4,
                    "omit_frames": True,
                }
                expected = client.generate(png(), PROMPT, **options)
                chunks = [event async for event in expected if isinstance(event, stillcue.VideoChunk)]
                videos = [event for event in events if event["event"] == "video"]
                assert [base64.b64decode(video["data"]) for video in videos] == [chunk.data for chunk in chunks]
                assert videos[0]["media_type"] == chunks[0].media_type


async def test_the_match_comes_with_advice(target: Any) -> None:
    async with served(FakeEngine()) as server:
        target(str(server.address))
        async with (
            web() as address,
            aiohttp.ClientSession() as session,
            session.post(f"{address}/match", data=form()) as response,
        ):
            report = await response.json()
    assert (report["score"], report["verdict"]) == (60.0, "doubtful")
    assert report["advice"][0] == "1.125 s is too short to show an action. Ask for 4 to 8 s."


async def test_wrong_uploads_are_told_by_the_fields_of_the_form(target: Any) -> None:
    async with served(FakeEngine()) as server:
        target(str(server.address))
        async with web() as address, aiohttp.ClientSession() as session:
            for path in ("/match", "/clips"):
                problem = await problem_of(session, address + path, form(b"no picture"))
                assert (problem["status"], problem["title"]) == (422, "The picture or the sentence cannot be used")
                assert [violation["field"] for violation in problem["violations"]] == ["picture"]
                problem = await problem_of(session, address + path, form(sentence=None))
                assert [violation["field"] for violation in problem["violations"]] == ["sentence"]
                for byte_count in (MAX_PICTURE_BYTES + 1, 2 * MAX_BODY_BYTES):
                    problem = await problem_of(session, address + path, form(bytes(byte_count)))
                    assert problem["title"] == "The picture is larger than 8 MiB; send a smaller file."
                    assert problem["status"] == 413
            async with session.get(f"{address}/nothing") as response:
                assert (response.status, response.content_type) == (404, "application/problem+json")


async def test_a_full_queue_and_a_missing_server_are_told_without_names(target: Any) -> None:
    gate = Semaphore(0)
    async with served(FakeEngine(gate=gate), queue_capacity=0) as server:
        target(str(server.address))
        async with (
            web() as address,
            aiohttp.ClientSession() as session,
            session.post(f"{address}/clips", data=form()) as first,
        ):
            assert first.status == 200
            problem = await problem_of(session, f"{address}/clips", form())
            assert (problem["status"], problem["title"]) == (503, "All servers are busy")
            assert problem["retry_after_seconds"] == 5.0
            gate.release(CALL_COUNT)
            assert json.loads((await first.read()).splitlines()[-1])["event"] == "done"
    async with web() as address, aiohttp.ClientSession() as session:
        problem = await problem_of(session, f"{address}/clips", form())
        assert problem == {
            "type": "about:blank",
            "title": "No server can be reached",
            "status": 503,
            "request_id": problem["request_id"],
        }


async def test_a_fault_in_mid_clip_is_the_last_line(target: Any) -> None:
    async with served(FakeEngine(non_finite_at="denoise 2")) as server:
        target(str(server.address))
        async with web() as address, aiohttp.ClientSession() as session:
            events = await clip_of(session, address)
    assert events[-2] == {"event": "step", "completed": 1, "count": 4}
    last = events[-1]
    assert (last["event"], last["status"], last["title"]) == ("problem", 502, "The clip could not be made")
    assert "detail" not in last


async def test_a_browser_that_leaves_ends_its_job(target: Any) -> None:
    gate = Semaphore(4)
    async with served(FakeEngine(gate=gate)) as server:
        target(str(server.address))
        async with web() as address, aiohttp.ClientSession() as session:
            response = await session.post(f"{address}/clips", data=form())
            while json.loads(await response.content.readline())["event"] != "step":
                pass
            response.close()
            await server.reaches("stillcue_jobs_total{outcome=cancelled}", 1)
            gate.release()


@pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's package chromium")
async def test_the_clip_plays_in_chromium(target: Any, tmp_path: Path) -> None:
    from playwright.async_api import async_playwright

    (tmp_path / "boat.png").write_bytes(png())
    gate = Semaphore(8)  # the first part of the clip
    async with served(FakeEngine(gate=gate)) as server, async_playwright() as playwright:
        target(str(server.address))
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        async with web() as address:
            try:
                page = await browser.new_page()
                await page.goto(address)
                await page.set_input_files("[name=picture]", tmp_path / "boat.png")
                await page.fill("[name=sentence]", PROMPT)
                await page.click("text=Make the clip")
                await page.wait_for_function("document.getElementById('status').textContent === 'frame 1 of 9'")
                assert await page.inner_text("#score") == "60 of 100, doubtful"
                assert "1.125 s is too short" in await page.inner_text("#advice")
                await page.wait_for_function("document.querySelector('video').readyState >= 2")  # frame 0 is shown
                gate.release(2)
                await page.wait_for_function("document.getElementById('status').textContent.startsWith('done: seed ')")
                await page.wait_for_function("document.querySelector('video').ended")
                length = await page.evaluate("document.querySelector('video').duration")
                assert length == pytest.approx(9 / FRAME_RATE)
                assert await page.inner_text("#problem") == ""

                gate.release(4)
                await page.click("text=Make the clip")
                await page.wait_for_function("document.getElementById('status').textContent === 'step 1 of 4'")
                await page.click("text=Cancel")
                await server.reaches("stillcue_jobs_total{outcome=cancelled}", 1)
                assert await page.inner_text("#status") == "cancelled"
                gate.release()

                await server.reaches("stillcue_running_jobs", 0)
                gate.release(4)
                await page.click("text=Make the clip")
                await page.wait_for_function("document.getElementById('status').textContent === 'step 1 of 4'")
                await page.close()
                await server.reaches("stillcue_jobs_total{outcome=cancelled}", 2)
                gate.release()
            finally:
                await browser.close()
