"""The example of stages: prints each match before its segment is made, and stops where one is poor."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from examples.python.stages import main
from stillcue.v1 import generate_pb2
from tests.scripted_chain import a_chain, a_chain_that_ends_early
from tests.scripted_server import Response, ScriptedServer, a_clip, serving
from tests.serving import png

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.examples
SENTENCES = ("A boat leaves.", "Gulls rise.", "The fog lifts.")


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with serving(ScriptedServer(a_chain)) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "boat.png").write_bytes(png())
    return tmp_path


def _run(server: ScriptedServer, *arguments: str) -> int:
    return main(["boat.png", "clip.mp4", *arguments, "--server", server.target])


def test_all_segments_are_written(folder: Path, server: ScriptedServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(server, *SENTENCES[:2], "--seed", "7") == 0
    (request,) = server.requests
    assert isinstance(request, generate_pb2.GenerateRequest)
    assert [segment.prompt for segment in request.segments] == list(SENTENCES[:2])
    assert (folder / "clip.mp4").read_bytes() == b"chunk 0;chunk 1;chunk 2;"
    assert capsys.readouterr().out.splitlines() == [
        "segment 1: match 62 of 100, doubtful",
        "segment 1: 5 frames in 1.5 s",
        "segment 2: match 62 of 100, doubtful",
        "segment 2: 4 frames in 1.5 s, motion changes by 25.0 % at its seam",
        "clip.mp4: 2 of 2 segments",
    ]


def test_a_poor_match_ends_the_job_and_keeps_what_is_finished(
    folder: Path, server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    def waiting(request: generate_pb2.GenerateRequest, context: Any) -> Iterator[Response]:
        """Would go on with the last segment."""
        is_over = threading.Event()
        context.add_callback(is_over.set)
        *earlier, _ = a_chain_that_ends_early(request, context)
        yield from earlier
        is_over.wait(30)

    server.generate = waiting
    assert _run(server, *SENTENCES) == 3
    assert server.cancelled.wait(10)
    assert (folder / "clip.mp4").read_bytes() == b"chunk 0;chunk 1;chunk 2;"
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "segment 3: match 30 of 100, doubtful",
        "clip.mp4: 2 of 3 segments",
    ]


def test_no_segment_and_no_file_where_the_first_match_is_poor(folder: Path, server: ScriptedServer) -> None:
    assert _run(server, *SENTENCES, "--lowest", "70") == 3
    assert [path.name for path in folder.iterdir()] == ["boat.png"]


def test_a_failure_and_a_wrong_command_line(
    folder: Path, server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.generate = a_clip  # as an older server answers
    assert _run(server, *SENTENCES) == 1
    assert capsys.readouterr().err.startswith("Unsupported: the server ignores segments")
    with pytest.raises(SystemExit) as caught:
        _run(server, "A boat leaves.")
    assert caught.value.code == 2
    assert [path.name for path in folder.iterdir()] == ["boat.png"]
