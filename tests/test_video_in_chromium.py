"""A browser plays the video file: fragment by fragment from MediaSource, and as a plain file; pixels are compared."""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import stillcue
from tests.painting_engine import PaintingEngine, moving_square
from tests.serving import png, served

pytestmark = pytest.mark.walk
WIDTH_PX, HEIGHT_PX, FRAME_COUNT = 192, 128, 17
RATE = Fraction(24_000, 1001)
CHROMIUM = shutil.which("chromium")

_PAGE = (Path(__file__).parents[1] / "docs" / "video.md").read_text(encoding="utf-8")
PLAY = re.findall(r"^```js\n(.*?)^```", _PAGE, re.MULTILINE | re.DOTALL)[0]  # the function that the page shows
# The functions take the chunks as base64, and return for each frame its pixels as base64 of RGBA. A frame is shown by
# seeking to the middle of its time, until the browser presents the frame that begins at index / rate.
SCRIPT = """
const bytes = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
const event = (target, name) => new Promise((done, failed) => {
  target.addEventListener(name, done, {once: true});
  target.addEventListener('error', () => failed(new Error(name + ': ' + (target.error && target.error.message))),
    {once: true});
});
const player = source => {
  const video = document.createElement('video');
  video.muted = true;
  video.src = URL.createObjectURL(source);
  document.body.replaceChildren(video);
  return video;
};
const shown = async (video, frame, frameSeconds) => {
  const presented = new Promise(done => {
    const look = (_, {mediaTime}) => Math.abs(mediaTime - frame * frameSeconds) < 0.001
      ? done() : video.requestVideoFrameCallback(look);
    video.requestVideoFrameCallback(look);
  });
  video.currentTime = (frame + 0.5) * frameSeconds;
  await presented;
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  const context = canvas.getContext('2d');
  context.drawImage(video, 0, 0);
  const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
  let text = '';
  for (let start = 0; start < data.length; start += 8192)
    text += String.fromCharCode(...data.subarray(start, start + 8192));
  return btoa(text);
};
const fromFragments = async ([chunks, counts, type, frameSeconds]) => {
  const source = new MediaSource();
  const video = player(source);
  await event(source, 'sourceopen');
  const buffer = source.addSourceBuffer(type);
  const frames = [], ends = [];
  for (const [number, chunk] of chunks.entries()) {
    const updated = event(buffer, 'updateend');
    buffer.appendBuffer(bytes(chunk));
    await updated;
    ends.push(buffer.buffered.end(buffer.buffered.length - 1));
    for (let frame = 0; frame < counts[number]; frame++)
      frames.push(await shown(video, frames.length, frameSeconds));
  }
  source.endOfStream();
  return {frames, ends, rangeCount: buffer.buffered.length};
};
const asThePageSays = async ([chunks, type]) => {
  const video = player(new MediaSource());
  await play(video, type, chunks.map(bytes));
  const ended = event(video, 'ended');
  await video.play();
  await ended;
  return video.currentTime;
};
const fromFile = async ([chunks, frameCount, type, frameSeconds]) => {
  const video = player(new Blob(chunks.map(bytes), {type}));
  await event(video, 'loadeddata');
  const frames = [];
  for (let frame = 0; frame < frameCount; frame++) frames.push(await shown(video, frame, frameSeconds));
  const ended = event(video, 'ended');
  video.currentTime = 0;
  await video.play();
  await ended;
  return {frames, end: video.currentTime};
};
"""


@asynccontextmanager
async def page() -> AsyncIterator[Any]:
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            found = await browser.new_page()
            await found.add_script_tag(content=PLAY + SCRIPT)
            yield found
        finally:
            await browser.close()


@pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's package chromium")
@pytest.mark.parametrize("codec", [stillcue.VideoCodec.H264, stillcue.VideoCodec.AV1])
async def test_a_browser_shows_every_frame(codec: stillcue.VideoCodec) -> None:
    painted = moving_square(WIDTH_PX, HEIGHT_PX, FRAME_COUNT)
    async with (
        served(PaintingEngine(painted, frame_count=FRAME_COUNT)) as server,
        stillcue.AsyncClient(str(server.address)) as client,
    ):
        stream = client.generate(
            png(WIDTH_PX, HEIGHT_PX),
            "a square moves",
            frame_rate=RATE,
            video_container=stillcue.VideoContainer.FRAGMENTED_MP4,
            video_codec=codec,
            omit_frames=True,
        )
        chunks = [event async for event in stream if isinstance(event, stillcue.VideoChunk)]
    assert [chunk.frame_count for chunk in chunks] == [1, 4, 4, 4, 4]
    data = [base64.b64encode(chunk.data).decode() for chunk in chunks]
    media_type, frame_seconds = chunks[0].media_type, float(1 / RATE)
    async with page() as browser:
        assert await browser.evaluate("type => MediaSource.isTypeSupported(type)", media_type)
        counts = [chunk.frame_count for chunk in chunks]
        live = await browser.evaluate("fromFragments", [data, counts, media_type, frame_seconds])
        whole = await browser.evaluate("fromFile", [data, FRAME_COUNT, media_type, frame_seconds])
        end = await browser.evaluate("asThePageSays", [data, media_type])
    assert live["rangeCount"] == 1  # no gap between fragments
    ends = [sum(counts[: number + 1]) / RATE for number in range(len(counts))]
    np.testing.assert_allclose(live["ends"], [float(end) for end in ends], atol=1e-5)
    np.testing.assert_allclose([whole["end"], end], float(FRAME_COUNT / RATE), atol=1e-3)
    for shown in (live["frames"], whole["frames"]):
        assert len(shown) == FRAME_COUNT
        for index, text in enumerate(shown):
            seen = np.frombuffer(base64.b64decode(text), np.uint8).reshape(HEIGHT_PX, WIDTH_PX, 4)[:, :, :3]
            errors = [np.abs(seen.astype(float) - pixels).mean() for pixels in painted]
            assert np.argmin(errors) == index
            assert errors[index] < 3.0
