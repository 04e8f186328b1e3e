"""The command line's generate with chains: what is sent, shown and written, and the exit codes."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import pytest
from google.rpc import error_details_pb2
from grpc import StatusCode
from rich.console import Console

from stillcue.cli import main
from stillcue.cli.progress import ProgressDisplay
from stillcue.response import decode_event
from stillcue.v1 import generate_pb2, segments_pb2
from tests.command_line import names
from tests.scripted_chain import a_chain, a_chain_that_ends_early
from tests.scripted_server import Response, ScriptedServer, refuse

if TYPE_CHECKING:
    from collections.abc import Iterator

_STAGES = ("--stage", "A boat leaves.", "--stage", "Gulls rise.")
_MATCH = "match 62 of 100, doubtful (uncalibrated score), a clip succeeds with 88 % (measured)"


def _generate(*options: str) -> int:
    return main(["generate", "boat.png", *options, "-o", "clip.mp4"])


def _request(server: ScriptedServer) -> generate_pb2.GenerateRequest:
    request = server.requests[-1]
    assert isinstance(request, generate_pb2.GenerateRequest)
    return request


def _frame_count(path: str) -> int:
    with av.open(path) as container:
        return sum(1 for _ in container.decode(video=0))


def test_a_chain_of_stages_is_written_shown_and_reported(
    folder: Path, server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.generate = a_chain
    assert _generate(*_STAGES, "--json", "clip.json", "--sheet", "clip.png") == 0
    assert list(_request(server).segments) == [
        segments_pb2.SegmentSpec(prompt="A boat leaves."),
        segments_pb2.SegmentSpec(prompt="Gulls rise."),
    ]
    assert names(folder) == {"boat.png", "clip.mp4", "clip.json", "clip.png"}
    assert _frame_count("clip.mp4") == 9
    out, err = capsys.readouterr()
    assert out == "clip.mp4: 9 frames of 48x32 at 8 frames/s, seed 7, 3.00 s of work\n"
    lines = [line for line in err.splitlines() if not line.startswith("W")]  # findings come with each report
    assert lines[:10] == [
        "segment 1, frames 0 to 4: “A boat leaves.”",
        "segment 2, frames 5 to 8: “Gulls rise.”",
        "segment 1 of 2: matching picture and sentence",
        f"segment 1 of 2: {_MATCH}",
        "segment 1 of 2: denoising",
        "segment 1 of 2: decoding frames",
        "segment 2 of 2: matching picture and sentence",
        f"segment 2 of 2: {_MATCH}",
        "segment 2 of 2: denoising",
        "segment 2 of 2: decoding frames",
    ]
    start = lines.index("segment 1: frames 0 to 4, match 62 of 100, good with 88 %, 1.50 s of work")
    assert lines[start + 1 : start + 6] == [
        "  ! Hardly anything moves.",
        "segment 2: frames 5 to 8, match 62 of 100, good with 88 %, 1.50 s of work",
        "  seam at frame 5: motion changes by 25.0 % of a side (inside 12.5 %), colours by 6.2 % (inside 3.1 %)",
        "  ! Hardly anything moves.",
        "from beginning to end: the subject at the end is 75 % alike, the clip returns to its beginning by 12 %",
    ]
    report = json.loads(Path("clip.json").read_text())
    assert [(item["number"], item["first_frame_index"], item["frame_count"]) for item in report["segments"]] == [
        (1, 0, 5),
        (2, 5, 4),
    ]
    assert report["segments"][0]["seam"] is None
    assert report["segments"][1]["seam"]["motion_jump"] == 0.25
    assert (report["chain_drift"], report["chain_stop"]) == ({"subject_consistency": 0.75, "loop_back": 0.125}, None)
    assert [item["prompt"] for item in report["settings"]["segments"]] == ["A boat leaves.", "Gulls rise."]


def test_a_chain_that_ends_early_keeps_what_is_finished_and_has_an_exit_code_of_its_own(
    folder: Path, server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.generate = a_chain_that_ends_early
    options = ("--stage", "The fog lifts.", "--require-match", "40", "--json", "clip.json", "--sheet", "clip.png")
    assert _generate(*_STAGES, *options) == 3
    assert names(folder) == {"boat.png", "clip.mp4", "clip.json", "clip.png"}
    assert _frame_count("clip.mp4") == 9
    out, err = capsys.readouterr()
    assert out == "clip.mp4: 9 frames of 48x32 at 8 frames/s, seed 7, 3.00 s of work\n"
    stop = (
        "segment 3 was not made: its sentence matches the frame that it would begin from with 30 of 100, below 40; "
        "let it go on from what that frame shows, or require less"
    )
    assert stop in err.splitlines()
    assert "segment 3 of 3: match 30 of 100" in err
    assert json.loads(Path("clip.json").read_text())["chain_stop"]["segment"] == 3


def test_a_file_that_the_server_encodes_holds_all_segments(folder: Path, server: ScriptedServer) -> None:
    server.generate = a_chain
    assert _generate(*_STAGES, "--encoder", "server") == 0
    assert Path("clip.mp4").read_bytes() == b"chunk 0;chunk 1;chunk 2;"


@pytest.mark.usefixtures("folder")
def test_seconds_reach_the_server(server: ScriptedServer) -> None:
    server.generate = a_chain
    assert _generate("A boat leaves, then gulls rise.", "--seconds", "1.1") == 0
    request = _request(server)
    assert (request.prompt, request.video) == ("A boat leaves, then gulls rise.", generate_pb2.VideoSpec(seconds=1.1))


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("options", "lengths"),
    [
        ([], [0, 0]),
        (["--stage-frames", "5"], [5, 5]),
        (["--stage-frames", "5", "--stage-frames", "9"], [5, 9]),
    ],
    ids=["default", "one for all", "one for each"],
)
def test_lengths_of_stages(server: ScriptedServer, options: list[str], lengths: list[int]) -> None:
    server.generate = a_chain
    assert _generate(*_STAGES, *options) == 0
    assert [segment.frame_count for segment in _request(server).segments] == lengths


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["A boat.", *_STAGES],
            "SENTENCE and --stage exclude each other: each --stage is a sentence; leave out SENTENCE",
        ),
        (
            [*_STAGES, "A boat."],
            "SENTENCE and --stage exclude each other: each --stage is a sentence; leave out SENTENCE",
        ),
        (["", *_STAGES], "SENTENCE and --stage exclude each other: each --stage is a sentence; leave out SENTENCE"),
        ([], "there is no sentence; give SENTENCE, or a --stage for each segment"),
        (["A boat.", "--frames", "9", "--seconds", "8"], "--frames and --seconds both state the length of the clip"),
        (["A boat.", "--stage-frames", "9"], "--stage-frames needs --stage"),
        ([*_STAGES, *["--stage-frames", "9"] * 3], "--stage-frames is given once for all, or once for each --stage"),
        (["A boat.", "--steps", "2", "Gulls."], "unrecognized arguments: Gulls."),
        (["--steps", "2", "fox \udcff"], "argument SENTENCE: is not valid UTF-8"),
        (["--stage", "fox \udcff"], "argument --stage: is not valid UTF-8"),
    ],
)
def test_a_wrong_command_line(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        _generate(*options)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
    assert server.requests == []


@pytest.mark.usefixtures("folder")
def test_the_sentence_may_stand_behind_options(server: ScriptedServer) -> None:
    assert main(["generate", "boat.png", "-o", "clip.mp4", "--steps", "2", "A boat leaves."]) == 0
    assert main(["generate", "-o", "clip.mp4", "boat.png", "--steps", "2", "A boat leaves."]) == 0
    assert main(["generate", "-o", "clip.mp4", "boat.png", "A boat leaves.", "--steps", "2"]) == 0
    assert {item.prompt for item in server.requests if isinstance(item, generate_pb2.GenerateRequest)} == {
        "A boat leaves."
    }
    assert len(server.requests) == 3


@pytest.mark.usefixtures("folder")
def test_behind_two_dashes_a_sentence_may_begin_with_a_dash(server: ScriptedServer) -> None:
    assert main(["generate", "boat.png", "-o", "clip.mp4", "--", "- a boat leaves"]) == 0
    assert main(["generate", "-o", "clip.mp4", "--", "boat.png", "- a boat leaves"]) == 0
    assert {item.prompt for item in server.requests if isinstance(item, generate_pb2.GenerateRequest)} == {
        "- a boat leaves"
    }


def test_an_older_server_writes_no_other_clip(
    folder: Path, server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _generate("A boat leaves.", "--seconds", "8") == 1
    assert "the server ignores seconds: it is older than this client" in capsys.readouterr().err
    assert _generate(*_STAGES) == 1
    assert "the server ignores segments: it is older than this client" in capsys.readouterr().err
    assert names(folder) == {"boat.png"}


@pytest.mark.usefixtures("folder")
def test_wrong_fields_of_a_segment_have_the_names_of_options(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = {
        "segments[1].prompt": "is empty",
        "segments[0].frame_count": "is 6",
        "segments": "are 13",
        "segments[1].unheard_of": "is new",
        "video.seconds": "is 0",
    }

    def refusing(_request: generate_pb2.GenerateRequest, context: Any) -> Iterator[Response]:
        violations = [
            error_details_pb2.BadRequest.FieldViolation(field=field, description=text) for field, text in wrong.items()
        ]
        details = error_details_pb2.BadRequest(field_violations=violations)
        refuse(context, StatusCode.INVALID_ARGUMENT, "wrong", details)

    server.generate = refusing
    assert _generate(*_STAGES) == 1
    assert capsys.readouterr().err.splitlines()[1:6] == [
        "  --stage (segment 2) is empty",
        "  --stage-frames (segment 1) is 6",
        "  --stage are 13",
        "  segments[1].unheard_of is new",
        "  --seconds is 0",
    ]


@pytest.mark.usefixtures("folder")
def test_capabilities_tell_of_chains(server: ScriptedServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["capabilities"]) == 0
    line = "chains     clips of up to 49 frames in 12 segments; each begins with the last frame of the one before\n"
    assert line in capsys.readouterr().out


def test_the_bar_of_a_terminal_names_the_segment_and_counts_frames_through() -> None:
    request = generate_pb2.GenerateRequest(segments=[segments_pb2.SegmentSpec(prompt="A boat.")] * 2)
    display = ProgressDisplay(Console(file=io.StringIO()), None)
    labels = []
    for response in a_chain(request, None):
        event = decode_event(response)
        assert event is not None
        display.show(event)
        task = display._bars.tasks[0]
        labels.append((task.description, task.fields["count"]))
    assert ("segment 1 of 2: denoising", "2/2, 0.50 s/step") in labels
    assert ("segment 1 of 2: decoding frames", "5/9") in labels
    assert ("segment 2 of 2: denoising", "1/2, 0.50 s/step") in labels
    assert ("segment 2 of 2: decoding frames", "9/9") in labels
