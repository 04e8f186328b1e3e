"""A command line that fails says why, names the option, and leaves no file."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.rpc import error_details_pb2

from stillcue.cli import main, sheet
from stillcue.cli.failures import OPTION_BY_FIELD
from stillcue.v1 import generate_pb2, match_pb2
from tests.command_line import command, environment, names, run
from tests.scripted_server import Response, ScriptedServer, a_clip_that_halts, refuse

if TYPE_CHECKING:
    from collections.abc import Iterator


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
        for name in path.replace("[{}]", "").split("."):
            field = descriptor.fields_by_name[name]
            descriptor = field.message_type
