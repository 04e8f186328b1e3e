"""The real client and command line against the real server process and its fake engine."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from PIL import Image

import stillcue
from engine.testing.fake_engine import FAKE_CAPABILITIES
from stillcue.cli import main
from stillcue.cli.frames import decode_frame
from tests.video_files import decode

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[1]
PROMPT = "A boat leaves the quiet harbour."  # 6 words: score 60
Stage = stillcue.Stage


@pytest.fixture(scope="module")
def target() -> Iterator[str]:
    """Address of a server process."""
    arguments = "--engine fake --listen 127.0.0.1:0 --metrics-listen 127.0.0.1:0 --log-level warning"
    process = subprocess.Popen(
        [sys.executable, "-m", "server", *arguments.split()],
        cwd=REPOSITORY,
        env={"PYTHONPATH": str(REPOSITORY / "clients" / "python")},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        words = dict(word.split("=") for word in process.stdout.readline().split() if "=" in word)
        yield words["grpc"]
        process.terminate()


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "boat.png"
    Image.new("RGB", (60, 40), (10, 120, 200)).save(path)
    return path


def colour_of(index: int, seed: int) -> tuple[int, int, int]:
    return (seed + index) % 256, index, len(PROMPT)


def check_clip(events: list[stillcue.Event]) -> None:
    """Checks a clip of seed 3 with previews against what a person computes by hand."""
    accepted, summary = events[0], events[-1]
    assert isinstance(accepted, stillcue.Accepted)
    assert isinstance(summary, stillcue.Summary)
    assert accepted.settings == summary.settings
    assert (summary.settings.width_px, summary.settings.height_px, summary.settings.frame_count) == (48, 32, 9)
    assert (summary.settings.seed, summary.settings.frame_rate, summary.settings.negative_prompt) == (3, 8.0, "blurred")
    stages = [event.stage for event in events if isinstance(event, stillcue.StageStarted)]
    assert stages == [Stage.MATCH, Stage.ENCODE_TEXT, Stage.ENCODE_IMAGE, Stage.DENOISE, Stage.DECODE]
    steps = [event for event in events if isinstance(event, stillcue.DenoiseProgress)]
    assert [step.completed_step_count for step in steps] == [1, 2, 3, 4]
    assert [step.expert.value for step in steps] == ["high_noise"] * 2 + ["low_noise"] * 2
    assert [step.preview is not None for step in steps] == [False, True, False, True]
    frames = [event for event in events if isinstance(event, stillcue.Frame)]
    assert [frame.index for frame in frames] == list(range(9))
    for frame in frames:
        np.testing.assert_array_equal(
            np.unique(decode_frame(frame).reshape(-1, 3), axis=0), [colour_of(frame.index, 3)]
        )
    assert summary.stage_seconds == dict.fromkeys(stages, 1.0)
    assert (summary.work_seconds, summary.first_frame_seconds, summary.peak_memory_bytes) == (5.0, 4.0, 1_000)
    assert summary.match_report in events
    assert summary.match_report is not None
    assert (summary.match_report.score, summary.match_report.verdict) == (60.0, stillcue.MatchVerdict.DOUBTFUL)


@pytest.mark.parametrize("encoding", [None, stillcue.FrameEncoding.RAW_RGB])
async def test_a_clip(target: str, picture: Path, encoding: stillcue.FrameEncoding | None) -> None:
    options: stillcue.GenerateOptions = {"seed": 3, "preview_every_step_count": 2, "frame_encoding": encoding}
    with stillcue.Client(target) as client:
        check_clip(list(client.generate(picture, PROMPT, **options)))
    async with stillcue.AsyncClient(target) as asynchronous:
        check_clip([event async for event in asynchronous.generate(picture, PROMPT, **options)])


def test_a_clip_that_the_server_encodes(target: str, picture: Path, tmp_path: Path) -> None:
    for codec in ("h264", "av1"):
        path = tmp_path / f"{codec}.mp4"
        arguments = ("generate", str(picture), PROMPT, "-o", str(path), "--encoder", f"server:{codec}")
        assert main([*arguments, "--server", target, "--fps", "23.976"]) == 0
        clip = decode(path.read_bytes())
        assert (len(clip.frames), clip.rate) == (9, Fraction(24_000, 1001))


def test_capabilities(target: str) -> None:
    with stillcue.Client(target) as client:
        capabilities = client.capabilities()
    assert capabilities.model.family is stillcue.ModelFamily.WAN22_I2V_A14B
    assert [(item.width_px, item.height_px, item.frame_count) for item in capabilities.geometries] == [
        (item.width_px, item.height_px, item.frame_count) for item in FAKE_CAPABILITIES.geometries
    ]
    assert capabilities.notices == FAKE_CAPABILITIES.notices
    assert capabilities.video_codecs == (stillcue.VideoCodec.H264, stillcue.VideoCodec.AV1)
    assert set(capabilities.frame_encodings) == set(stillcue.FrameEncoding) - {stillcue.FrameEncoding.UNKNOWN}


def test_refusals(target: str, picture: Path) -> None:
    with stillcue.Client(target) as client:
        with pytest.raises(stillcue.InvalidRequest) as invalid:
            list(client.generate(b"no picture", " ", frame_count=10))
        fields = {violation.field.split(".")[0] for violation in invalid.value.violations}
        assert fields == {"prompt", "video", "image"}
        with pytest.raises(stillcue.FailedPrecondition) as not_compiled:
            list(client.generate(picture, PROMPT, frame_count=13))
        assert not_compiled.value.reason == "NOT_COMPILED"
        assert [item.field for item in not_compiled.value.violations] == ["video.frame_count"]
        stream = client.generate(picture, PROMPT, match=stillcue.MatchMode.REQUIRE, minimum_match_score=61.0)
        with pytest.raises(stillcue.MatchRefused) as refused:
            list(stream)
        assert refused.value.details.metadata["score"] == "60"
        assert refused.value.request_id == stream.request_id


def test_the_command_line(target: str, picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip, summary = picture.with_name("clip.mp4"), picture.with_name("clip.json")
    arguments = ["--server", target, "--seed", "3", "--lossless", "--json", str(summary)]
    assert main(["generate", str(picture), PROMPT, "-o", str(clip), *arguments]) == 0
    assert "9 frames of 48x32 at 8 frames/s, seed 3" in capsys.readouterr().out
    with av.open(str(clip)) as container:
        colours = [tuple(frame.to_ndarray(format="rgb24")[5, 5]) for frame in container.decode(video=0)]
    assert colours == [colour_of(index, 3) for index in range(9)]
    assert json.loads(summary.read_text())["match_report"]["score"] == 60.0
    assert main(["score", str(picture), PROMPT, "--server", target]) == 0
    assert capsys.readouterr().out.splitlines()[0] == (
        "match 60 of 100, doubtful (uncalibrated score), "
        "a clip succeeds with 90 % (published figures, not measured here)"
    )
