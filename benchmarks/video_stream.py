"""The cost of a video file in the stream: the same jobs with and without it, and the encoders alone.

    python -m benchmarks.video_stream --json FILE [--bundles FOLDER] [--steps 4] [--repeats 5]

Part 1, at three sizes: a server with the pocket model, exported for the size, makes each clip with and without
``stream.video_container``; frames are raw in both. The two take turns and alternate in going first; the first take of
each is not counted. ``*_ratio`` is the median over pairs, with / without, of the seconds from the request to the last
event, ``*_processor_ratio`` the same of the processor seconds of server and worker process. ``*_share`` is the
encoder's time, as the server's metric counts it, divided by the time of the job without the file.

Pocket is a small model with few steps on a CPU, so on a card the share is another: take part 2 and the time of a job
there. ``--bundles`` keeps the exported bundles for the next run.

Part 2: processor seconds of each encoder for 81 frames, as a job sends them (1, then 4 at a time), of a moving texture
with grain, at 832x480 and 1280x720.
"""

from __future__ import annotations

import argparse
import io
import re
import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

import stillcue
from benchmarks.processes import first_line, spawn
from benchmarks.report import Report
from benchmarks.subject import POCKET_BUNDLE, prepare_subject
from engine import find_video_support, open_video_encoder
from engine.api.capabilities import Geometry
from engine.api.media import Pixels

SHARE_TARGET = 0.05
_SIZES = (Geometry(64, 64, 17), Geometry(416, 240, 9), Geometry(832, 480, 9))
_ALONE_SIZES = {"480p": (832, 480), "720p": (1280, 720)}
_ALONE_FRAME_COUNT = 81
_RATE = Fraction(16)
_PROMPT = "a white cat jumps to the left while the light fades"
_FREE = ("--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--log-level", "error")


def main() -> None:
    """Measures both parts, prints the figures and writes them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.video_stream")
    parser.add_argument("--json", type=Path, required=True, help="file for the figures")
    parser.add_argument("--bundles", type=Path, help="folder that keeps the exported bundles (default: none is kept)")
    parser.add_argument("--steps", type=int, default=4, help="denoising steps")
    parser.add_argument("--repeats", type=int, default=5, help="counted takes of each side")
    options = parser.parse_args()
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        for geometry in _SIZES:
            bundle = _bundle(options.bundles or Path(name), geometry)
            figures |= _cost(bundle, geometry, options.steps, options.repeats)
    figures |= _alone()
    targets = {f"{_name(geometry)}_share": SHARE_TARGET for geometry in _SIZES[-1:]}
    report = Report("video_stream", {**figures, "step_count": options.steps, "repeat_count": options.repeats}, targets)
    report.show()
    report.write(options.json)


@dataclass(frozen=True)
class _Take:
    seconds: float
    processor_seconds: float
    chunk_bytes: int


def _name(geometry: Geometry) -> str:
    return f"{geometry.width_px}x{geometry.height_px}"


def _bundle(folder: Path, geometry: Geometry) -> Path:
    kept = folder / _name(geometry)
    if (kept / "bundle" / "bundle.json").is_file():
        return kept / "bundle"
    kept.mkdir(parents=True, exist_ok=True)
    is_pocket = geometry == _SIZES[0]
    return prepare_subject(kept, geometry, None, POCKET_BUNDLE if is_pocket else None).bundle


def _cost(bundle: Path, geometry: Geometry, step_count: int, repeat_count: int) -> dict[str, float]:
    pairs = []
    with _server(bundle) as server:
        for repeat in range(repeat_count + 1):
            if repeat == 1:
                before = _encode_seconds(server)
            order = (True, False) if repeat % 2 else (False, True)
            takes = {has_video: _take(server, geometry, step_count, repeat, has_video=has_video) for has_video in order}
            pairs.append((takes[True], takes[False]))
        encode_seconds = (_encode_seconds(server) - before) / repeat_count
    counted = pairs[1:]
    job_seconds = statistics.median(without.seconds for _, without in counted)
    figures = {
        "job_seconds": job_seconds,
        "ratio": statistics.median(with_video.seconds / without.seconds for with_video, without in counted),
        "processor_ratio": statistics.median(
            with_video.processor_seconds / without.processor_seconds for with_video, without in counted
        ),
        "encode_seconds_per_frame": encode_seconds / geometry.frame_count,
        "share": encode_seconds / job_seconds,
        "bytes_per_frame": counted[0][0].chunk_bytes / geometry.frame_count,
        "frame_count": geometry.frame_count,
    }
    return {f"{_name(geometry)}_{name}": value for name, value in figures.items()}


@dataclass(frozen=True)
class _Server:
    client: stillcue.Client
    metrics_url: str
    process: psutil.Process

    def processor_seconds(self) -> float:
        """Of the server and its worker process so far."""
        times = [process.cpu_times() for process in (self.process, *self.process.children(recursive=True))]
        return float(sum(item.user + item.system for item in times))


def _take(server: _Server, geometry: Geometry, step_count: int, seed: int, *, has_video: bool) -> _Take:
    container = stillcue.VideoContainer.FRAGMENTED_MP4 if has_video else None
    before, started = server.processor_seconds(), time.perf_counter()
    events = list(
        server.client.generate(
            _PICTURE,
            _PROMPT,
            width_px=geometry.width_px,
            height_px=geometry.height_px,
            frame_count=geometry.frame_count,
            step_count=step_count,
            seed=seed,
            match=stillcue.MatchMode.OFF,
            frame_encoding=stillcue.FrameEncoding.RAW_RGB,
            video_container=container,
        )
    )
    seconds, processor_seconds = time.perf_counter() - started, server.processor_seconds() - before
    chunks = [event for event in events if isinstance(event, stillcue.VideoChunk)]
    if sum(chunk.frame_count for chunk in chunks) != (geometry.frame_count if has_video else 0):
        raise SystemExit("the file does not hold every frame of the clip")
    return _Take(seconds, processor_seconds, sum(len(chunk.data) for chunk in chunks))


@contextmanager
def _server(bundle: Path) -> Iterator[_Server]:
    process: subprocess.Popen[str] = spawn("server", "--bundle", str(bundle), *_FREE)
    try:
        ready = dict(word.split("=", 1) for word in first_line(process).split() if "=" in word)
        with stillcue.Client(ready["grpc"]) as client:
            yield _Server(client, f"http://{ready['metrics']}/metrics", psutil.Process(process.pid))
    finally:
        process.terminate()
        process.communicate()


def _encode_seconds(server: _Server) -> float:
    with urllib.request.urlopen(server.metrics_url) as response:
        found = re.search(r"^stillcue_video_encode_seconds_sum (\S+)$", response.read().decode(), re.MULTILINE)
    return float(found[1]) if found else 0.0


def _alone() -> dict[str, float]:
    figures = {}
    for size, (width_px, height_px) in _ALONE_SIZES.items():
        frames = list(_texture(width_px, height_px))
        for codec, encoder in find_video_support(["libx264", "libsvtav1"]).encoders.items():
            opened = open_video_encoder(encoder, width_px, height_px, _RATE)
            started = time.process_time()
            byte_count = len(opened.encode(frames[:1]))
            for first in range(1, len(frames), 4):
                byte_count += len(opened.encode(frames[first : first + 4]))
            figures[f"{codec.value}_81_frames_{size}_processor_seconds"] = time.process_time() - started
            figures[f"{codec.value}_81_frames_{size}_bytes"] = byte_count
            opened.close()
    return figures


def _texture(width_px: int, height_px: int) -> Iterator[Pixels]:
    """A smooth texture that moves by 3 pixels a frame, with grain of 2 levels, in 81 frames."""
    draw = np.random.default_rng(0)
    cells = (height_px // 32, (width_px + 3 * _ALONE_FRAME_COUNT) // 32)
    coarse = draw.integers(60, 196, (*cells, 3), dtype=np.uint8)
    size = (width_px + 3 * _ALONE_FRAME_COUNT, height_px)
    texture = np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)).astype(np.float32)
    for index in range(_ALONE_FRAME_COUNT):
        grain = draw.normal(0, 2, (height_px, width_px, 1))
        yield np.clip(texture[:, 3 * index : 3 * index + width_px] + grain, 0, 255).astype(np.uint8)


def _picture() -> bytes:
    buffer = io.BytesIO()
    coarse = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((832, 480), Image.Resampling.BICUBIC).save(buffer, "PNG")
    return buffer.getvalue()


_PICTURE = _picture()

if __name__ == "__main__":
    main()
