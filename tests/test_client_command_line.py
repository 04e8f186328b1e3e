"""The command line's generate against a scripted server: files, texts, exit codes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import av
import pytest
from google.protobuf.duration_pb2 import Duration
from PIL import Image

from stillcue.cli import main
from stillcue.v1 import generate_pb2, match_pb2, media_pb2
from tests.command_line import names, run
from tests.scripted_report import DIAGNOSIS, REPORT
from tests.scripted_server import FRAME_COUNT, HEIGHT_PX, WIDTH_PX, Response, ScriptedServer, a_clip

CLIP_LINE = "5 frames of 48x32 at 8 frames/s, seed 7, 3.00 s of work"


def test_generate_writes_clip_summary_and_sheet(folder: Path, server: ScriptedServer) -> None:
    done = run(
        *("generate", "boat.png", "A boat leaves.", "-o", "clip.mp4"),
        *("--json", "clip.json", "--sheet", "clip.png"),
    )
    assert (done.returncode, done.stdout) == (0, f"clip.mp4: {CLIP_LINE}\n")
    assert done.stderr.splitlines()[-8:] == [
        "decoding frames",
        "note: dark frames",
        "1 of 2 steps computed in full, 1 with reused guidance",
        "the clip is good with 75 % (measured)",
        "clip: 12 % of the clip moves, subject drift 25 %",
        "  ! Hardly anything moves.",
        "  try first: One action.",
        "  then (2): More guidance.",
    ]
    assert "W09 Nobody can film epic." in done.stderr.splitlines()
    assert names(folder) == {"boat.png", "clip.mp4", "clip.json", "clip.png"}
    with av.open("clip.mp4") as container:
        frames = list(container.decode(video=0))
        assert [(frame.width, frame.height) for frame in frames] == [(WIDTH_PX, HEIGHT_PX)] * FRAME_COUNT
    with Image.open("clip.png") as sheet:
        assert sheet.width == 4 * 298 + 10
    request = server.requests[0]
    assert isinstance(request, generate_pb2.GenerateRequest)
    assert request.image.data == Path("boat.png").read_bytes()
    without_pictures = json.loads(json.dumps(asdict(REPORT), default=lambda _picture: None))
    assert json.loads(Path("clip.json").read_text()) == {
        "request_id": request.request_id,
        "settings": {
            "width_px": WIDTH_PX,
            "height_px": HEIGHT_PX,
            "frame_count": FRAME_COUNT,
            "frame_rate": 8.0,
            "step_count": 2,
            "guidance_scale": 3.5,
            "guidance_scale_low_noise": 4.5,
            "seed": 7,
            "shift": 5.0,
            "negative_prompt": "blurred",
            "crop": {"left_px": 1, "top_px": 2, "width_px": 3, "height_px": 4},
            "picture_fit": "pad",
            "step_reuse": "balanced",
            "segments": [],
        },
        "bundle_digest": "ab" * 32,
        "checkpoint_digest": "cd" * 32,
        "stage_seconds": {"denoise": 2.5, "decode": 0.25},
        "queue_seconds": 0.5,
        "work_seconds": 3.0,
        "first_frame_seconds": 2.75,
        "peak_memory_bytes": 12_345_678_901,
        "first_frame_psnr_db": None,
        "match_report": without_pictures,
        "warnings": ["soft picture", "dark frames"],
        "frame_matches": [{"frame_index": 4, "score": 50.0}],
        "diagnosis": json.loads(json.dumps(asdict(DIAGNOSIS))),
        "success": {
            "probability": 0.75,
            "basis": "measured",
            "brier_score": None,
            "calibration_error": None,
            "factors": [],
        },
        "attempts": [],
        "delivered_attempt": 1,
        "attempts_end": None,
        "step_counts": {"full": 1, "guidance_reused": 1},
        "segments": [],
        "chain_drift": None,
        "chain_stop": None,
    }


@pytest.mark.parametrize("has_sheet", [False, True], ids=["file alone", "with a sheet"])
def test_the_server_encodes_the_clip(folder: Path, server: ScriptedServer, has_sheet: bool) -> None:
    sheet = ("--sheet", "clip.png") if has_sheet else ()
    done = run("generate", "boat.png", "A boat leaves.", "-o", "clip.mp4", "--encoder", "server:av1", *sheet)
    assert (done.returncode, done.stdout) == (0, f"clip.mp4: {CLIP_LINE}\n")
    assert Path("clip.mp4").read_bytes() == b"chunk 0;chunk 1;"
    request = server.requests[0]
    assert isinstance(request, generate_pb2.GenerateRequest)
    assert request.stream == generate_pb2.StreamSpec(
        resume_window=Duration(seconds=30),
        video_container=media_pb2.VIDEO_CONTAINER_FRAGMENTED_MP4,
        video_codec=media_pb2.VIDEO_CODEC_AV1,
        omit_frames=not has_sheet,
    )
    assert names(folder) == {"boat.png", "clip.mp4", "clip.png"} - ({"clip.png"} - set(sheet))


def test_a_file_that_the_server_encodes_needs_no_pyav_here(
    folder: Path, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.delitem(sys.modules, "stillcue.cli.video", raising=False)
    assert main(["generate", "boat.png", "A boat.", "-o", "clip.mp4", "--encoder", "server"]) == 0
    assert main(["generate", "boat.png", "A boat.", "-o", "other.mp4"]) == 1
    assert names(folder) == {"boat.png", "clip.mp4"}


def test_an_older_server_that_knows_no_video(
    folder: Path, server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    def ignore_the_container(request: generate_pb2.GenerateRequest, context: Any) -> Iterator[Response]:
        request.ClearField("stream")
        yield from a_clip(request, context)

    server.generate = ignore_the_container
    assert main(["generate", "boat.png", "A boat.", "-o", "clip.mp4", "--encoder", "server"]) == 1
    assert "the server sent no video file: it is older than this client; leave out --encoder server" in (
        capsys.readouterr().err
    )
    assert names(folder) == {"boat.png"}


@pytest.mark.parametrize(("reuse", "is_told"), [("fast", True), ("balanced", True), ("off", False)])
def test_an_older_server_that_knows_no_reuse(
    folder: Path, server: ScriptedServer, capsys: pytest.CaptureFixture[str], reuse: str, is_told: bool
) -> None:
    def compute_every_step(request: generate_pb2.GenerateRequest, context: Any) -> Iterator[Response]:
        for response in a_clip(request, context):
            if response.HasField("accepted"):
                response.accepted.settings.ClearField("step_reuse")
            if response.HasField("summary"):
                response.summary.ClearField("step_counts")
            yield response

    server.generate = compute_every_step
    assert main(["generate", "boat.png", "A boat.", "-o", "clip.mp4", "--reuse", reuse]) == 0
    err = capsys.readouterr().err
    assert ("note: this server computes every step: it is older than this client\n" in err) is is_told
    assert "computed in full" not in err


def test_every_option_reaches_its_field(
    folder: Path, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STILLCUE_TOKEN", "secret")
    options = (
        "--size 832x480 --frames 81 --fps 16 --steps 20 --guidance 4 --guidance-low 3 --shift 5 --seed 0 "
        "--reuse fast --require-match 60 --previews 4 --timeout 100 --lossless --fit crop-subject"
    )
    negative = ("--negative", "blurred, dark")
    assert main(["generate", "boat.png", "一只小船离开。", "-o", "clip.mp4", *options.split(), *negative]) == 0
    request = server.requests[0]
    assert isinstance(request, generate_pb2.GenerateRequest)
    assert request == generate_pb2.GenerateRequest(
        request_id=request.request_id,
        image=media_pb2.Image(data=(folder / "boat.png").read_bytes()),
        prompt="一只小船离开。",
        negative_prompt="blurred, dark",
        video=generate_pb2.VideoSpec(
            width_px=832,
            height_px=480,
            frame_count=81,
            frame_rate=16.0,
            picture_fit=media_pb2.PICTURE_FIT_CROP_SUBJECT,
        ),
        sampling=generate_pb2.SamplingSpec(
            step_count=20,
            guidance_scale=4.0,
            guidance_scale_low_noise=3.0,
            seed=0,
            shift=5.0,
            step_reuse=generate_pb2.STEP_REUSE_FAST,
        ),
        match=match_pb2.MatchPolicy(mode=match_pb2.MATCH_MODE_REQUIRE, minimum_score=60.0),
        stream=generate_pb2.StreamSpec(resume_window=Duration(seconds=30)),  # nothing is piped previews
    )
    assert server.metadata[0]["authorization"] == "Bearer secret"
    assert capsys.readouterr().out == f"clip.mp4: {CLIP_LINE}\n"
    assert main(["generate", "boat.png", "A boat.", "-o", "clip.mp4", "--no-match"]) == 0
    request = server.requests[1]
    assert isinstance(request, generate_pb2.GenerateRequest)
    assert request.match == match_pb2.MatchPolicy(mode=match_pb2.MATCH_MODE_OFF)
