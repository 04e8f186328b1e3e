"""The command line's score and capabilities: tables, JSON, pictures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stillcue.cli import main
from stillcue.v1 import match_pb2, media_pb2
from tests.command_line import names
from tests.scripted_server import ScriptedServer

MATCH_LINE = "match 62 of 100, doubtful (uncalibrated score), a clip succeeds with 88 % (measured)"


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
        "lowers the chance of success",
        "  a guidance scale above the model's own: 97 % without it",
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
    command += ["--fit", "pad"]
    assert main(command) == 0
    assert "heat.png was not written" in capsys.readouterr().err
    assert names(folder) == {"boat.png"}
    request = server.requests[0]
    assert isinstance(request, match_pb2.ScoreMatchRequest)
    assert (request.include_heat_map, request.include_crop, request.width_px) == (True, True, 832)
    assert request.picture_fit == media_pb2.PICTURE_FIT_PAD
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
    assert "device     cuda:1\n" in text
    assert "reuse      balanced unless the request says otherwise\n" in text
    assert "attempts   up to 8 a clip, accepted from 62 % on\n" in text
    assert "memory     11.23 GB planned, of 24.16 GB\n" in text
    assert "\n           loaded in every job: text_encoder, vae_decoder_init\n" in text
    assert main(["capabilities", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["model"]["family"] == "wan22_ti2v_5b"
    assert found["memory_plans"][0]["stages"][1]["expert"] == "single"
