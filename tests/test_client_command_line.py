"""The command line against a scripted server: files, texts, exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2
from PIL import Image

import stillcue
from stillcue.cli import main, sheet
from stillcue.cli.failures import OPTION_BY_FIELD
from stillcue.v1 import generate_pb2, match_pb2, media_pb2
from tests.scripted_report import DIAGNOSIS, REPORT
from tests.scripted_server import FRAME_COUNT, HEIGHT_PX, WIDTH_PX, Response, ScriptedServer, refuse, serving
from tests.test_client_calls import a_clip_that_halts

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENT_FOLDER = Path(stillcue.__file__).parents[1]
MATCH_LINE = "match 62 of 100, doubtful (uncalibrated score), a clip succeeds with 88 % (measured)"
CLIP_LINE = "5 frames of 48x32 at 8 frames/s, seed 7, 3.00 s of work"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with serving(ScriptedServer()) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: ScriptedServer) -> Path:
    """The current folder, with a picture in it; the scripted server is the default one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STILLCUE_SERVER", server.target)
    Image.new("RGB", (60, 40), (10, 120, 200)).save("boat.png")
    return tmp_path


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), env=environment(), capture_output=True, text=True, check=False)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "stillcue.cli", *arguments]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(CLIENT_FOLDER)}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_generate_writes_clip_summary_and_sheet(folder: Path, server: ScriptedServer) -> None:
    done = run(
        *("generate", "boat.png", "A boat leaves.", "-o", "clip.mp4"),
        *("--json", "clip.json", "--sheet", "clip.png"),
    )
    assert (done.returncode, done.stdout) == (0, f"clip.mp4: {CLIP_LINE}\n")
    assert done.stderr.splitlines()[-6:] == [
        "decoding frames",
        "note: dark frames",
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
    }


def test_every_option_reaches_its_field(
    folder: Path, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STILLCUE_TOKEN", "secret")
    options = (
        "--size 832x480 --frames 81 --fps 16 --steps 20 --guidance 4 --guidance-low 3 --shift 5 --seed 0 "
        "--require-match 60 --previews 4 --timeout 100 --lossless --fit crop-subject"
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
            step_count=20, guidance_scale=4.0, guidance_scale_low_noise=3.0, seed=0, shift=5.0
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


@pytest.mark.usefixtures("folder")
def test_score(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "boat.png", "A boat leaves."]) == 0
    assert capsys.readouterr().out.splitlines()[0] == MATCH_LINE
    assert main(["score", "boat.png", "A boat leaves.", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["score"] == 62.5


def test_a_score_tells_clauses_findings_picture_and_crops(
    folder: Path, server: ScriptedServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert main(["score", "boat.png", "A boat leaves the harbour, make it epic."]) == 0
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        MATCH_LINE,
        "",
        "  A boat leaves the harbour, make it epic.",
        "",
        "  part                 tells      fits the picture         counts",
        "─────────────────────────────────────────────────────────────────",
        "  leaves the harbour   action 1   ██········  25 %           30 %",
        "  make it epic         style      a still cannot show it",
        "",
        "not in the picture",
        "  harbour",
        "",
        "sentence",
        "  W09 warning  Nobody can film epic.",
        "  → Leave it out.",
        "  W19 error  Guidance 12.",
        "  → Lower it.",
        "",
        "better",
        "  A boat leaves the harbour.",
        "  and in the negative prompt: lettering",
        "",
        "picture",
        "  JPEG 640x480, sharpness 100, blockiness 1.25",
        "  subject at 1,2, 3x4 px: 50 % of a side, 12 % off the middle",
        "  lettering info  A watermark.",
        "  → Crop it.",
        "",
        "crops",
        "  48x32: 11x12 px at 9,10, scaled by 1.50, subject 75 % of a side",
    ]


def test_a_score_in_a_terminal_has_colours_and_underlines(
    folder: Path, server: ScriptedServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    assert main(["score", "boat.png", "A boat leaves the harbour, make it epic."]) == 0
    out = capsys.readouterr().out
    assert "\x1b[2;4;33mepic\x1b[0m" in out  # style of no weight, and underlined for its finding
    assert "\x1b[9;31mharbour\x1b[0m" in out  # not in the picture
    assert "\x1b[31m██\x1b[0m" in out


def test_pictures_of_a_score_are_written(
    folder: Path, server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server that gives none is no reason to fail, and leaves no empty file."""
    command = ["score", "boat.png", "A boat.", "--heat-map", "heat.png", "--crop", "crop.png", "--size", "832x480"]
    assert main(command) == 0
    assert "heat.png was not written" in capsys.readouterr().err
    assert names(folder) == {"boat.png"}
    request = server.requests[0]
    assert isinstance(request, match_pb2.ScoreMatchRequest)
    assert (request.include_heat_map, request.include_crop, request.width_px) == (True, True, 832)
    server.heat_map_png = server.crop_png = b"a PNG file"
    assert main(command) == 0
    assert {path: (folder / path).read_bytes() for path in ("heat.png", "crop.png")} == {
        "heat.png": b"a PNG file",
        "crop.png": b"a PNG file",
    }


@pytest.mark.usefixtures("folder")
def test_capabilities(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["capabilities"]) == 0
    text = capsys.readouterr().out
    assert "48x32, 5 frames" in text
    assert "2 steps, guidance 5, shift 3, 24 frames/s" in text
    assert "note       plain colours" in text
    assert "memory     11.23 GB planned, of 24.16 GB\n" in text
    assert "\n           loaded in every job: text_encoder, vae_decoder_init\n" in text
    assert main(["capabilities", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["model"]["family"] == "wan22_ti2v_5b"
    assert found["memory_plans"][0]["stages"][1]["expert"] == "single"


def test_a_refusal_names_the_option_and_leaves_no_file(folder: Path, server: ScriptedServer) -> None:
    def script(_request: generate_pb2.GenerateRequest, context: Any) -> Iterator[Response]:
        yield from ()
        violation = {"field": "video.frame_count", "description": "is 10, not 4n + 1; the nearest is 9"}
        detail = error_details_pb2.BadRequest(field_violations=[violation])
        refuse(context, grpc.StatusCode.INVALID_ARGUMENT, "no", detail)

    server.generate = script
    done = run("generate", "boat.png", "A boat.", "-o", "clip.mp4", "--frames", "10")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[:2] == [
        "stillcue: the request is wrong:",
        "  --frames is 10, not 4n + 1; the nearest is 9",
    ]
    assert names(folder) == {"boat.png"}


def test_a_server_that_goes_away_in_mid_stream_leaves_no_file(
    folder: Path, server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    def script(request: generate_pb2.GenerateRequest, context: Any) -> Iterator[Response]:
        for _, response in zip(range(2), a_clip_that_halts(request, context), strict=False):
            yield response
        context.abort(grpc.StatusCode.UNKNOWN, "Stream removed")

    server.generate = script
    assert main(["generate", "boat.png", "A boat.", "-o", "clip.mp4", "--json", "clip.json"]) == 1
    assert "no answer from the server: Stream removed" in capsys.readouterr().err
    assert names(folder) == {"boat.png"}


@pytest.fixture
def _signals_are_heeded() -> Iterator[None]:
    """Children inherit ignored signals, as of a run under ``nohup``, and the command line leaves those ignored."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    ignored = [number for number, handler in before.items() if handler is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.mark.usefixtures("_signals_are_heeded")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_cancels_the_call_and_leaves_no_file(
    folder: Path, server: ScriptedServer, number: signal.Signals
) -> None:
    server.generate = a_clip_that_halts
    process = subprocess.Popen(
        command("generate", "boat.png", "A boat.", "-o", "clip.mp4"),
        env=environment() | {"PYTHONUNBUFFERED": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    while not any(name.endswith(".part") for name in names(folder)):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert errors == "stillcue: interrupted; the call was cancelled\n"
    assert server.cancelled.wait(10)
    assert names(folder) == {"boat.png"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "COMMAND"),
        ("paint boat.png A -o clip.mp4", "invalid choice"),
        ("generate boat.png A", "-o/--output"),
        ("generate ship.png A -o clip.mp4", "there is no file 'ship.png'"),
        ("generate boat.png A -o clip.avi", "does not end in .mp4"),
        ("generate boat.png A -o nowhere/clip.mp4", "there is no folder 'nowhere'"),
        ("generate boat.png A -o clip.mp4 --size 832", "not WIDTHxHEIGHT"),
        ("generate boat.png A -o clip.mp4 --frames 0", "outside 1 to"),
        ("generate boat.png A -o clip.mp4 --steps many", "--steps"),
        ("generate boat.png A -o clip.mp4 --seed -1", "outside 0 to"),
        ("generate boat.png A -o clip.mp4 --seed 9223372036854775808", "outside 0 to"),
        ("generate boat.png A -o clip.mp4 --crf 16 --lossless", "not allowed with"),
        ("generate boat.png A -o clip.mp4 --no-match --require-match 50", "not allowed with"),
        ("generate boat.png \udcff -o clip.mp4", "is not valid UTF-8"),
        ("score boat.png A --plaintext --tls-ca boat.png", "exclude each other"),
    ],
)
def test_a_wrong_command_line(
    folder: Path, server: ScriptedServer, capsys: pytest.CaptureFixture[str], arguments: str, message: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments.split())
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
    assert (server.requests, names(folder)) == ([], {"boat.png"})


def test_an_unreadable_font_costs_no_work(
    folder: Path, server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["generate", "boat.png", "A boat.", "-o", "clip.mp4", "--sheet", "clip.png", "--font", "boat.png"]
    assert main(arguments) == 1
    assert capsys.readouterr().err.startswith("stillcue: ")
    assert (server.requests, names(folder)) == ([], {"boat.png"})


def test_a_sentence_that_no_font_can_show_is_noted(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sheet, "_SYSTEM_FONTS", ())
    assert main(["generate", "boat.png", "一只小船离开。", "-o", "clip.mp4", "--sheet", "clip.png"]) == 0
    assert "give one by --font" in capsys.readouterr().err
    assert names(folder) == {"boat.png", "clip.mp4", "clip.png"}


def test_messages_name_options_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["generate", "--help"])
    help_text = capsys.readouterr().out
    assert all(option in help_text for option in OPTION_BY_FIELD.values())


def test_messages_name_fields_that_exist() -> None:
    for path in OPTION_BY_FIELD:
        descriptor: Any = generate_pb2.GenerateRequest.DESCRIPTOR
        if path in match_pb2.ScoreMatchRequest.DESCRIPTOR.fields_by_name:
            continue
        for name in path.split("."):
            field = descriptor.fields_by_name[name]
            descriptor = field.message_type
