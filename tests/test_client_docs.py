"""docs/client.md and docs/long-clips.md are true: their Python runs, their commands parse, the tables are complete."""

from __future__ import annotations

import inspect
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from PIL import Image

import stillcue
from stillcue import errors
from stillcue.cli import connection
from stillcue.cli.arguments import parse_arguments
from stillcue.v1 import generate_pb2
from tests.scripted_chain import chain_or_clip
from tests.scripted_server import ScriptedServer, serving

GUIDE = (Path(__file__).parents[1] / "docs" / "client.md").read_text(encoding="utf-8")
LONG_CLIPS = (Path(__file__).parents[1] / "docs" / "long-clips.md").read_text(encoding="utf-8")
VIDEO_PAGE = (Path(__file__).parents[1] / "docs" / "video.md").read_text(encoding="utf-8")
PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
PYTHON_BLOCKS = [*PYTHON.findall(GUIDE), *PYTHON.findall(LONG_CLIPS), PYTHON.findall(VIDEO_PAGE)[0]]
COMMANDS = [line for page in (GUIDE, LONG_CLIPS) for line in page.splitlines() if line.startswith("stillcue ")]


def table(heading: str) -> list[str]:
    """The names in the first column of the table that follows a heading of its header row."""
    rows = GUIDE.partition(f"\n| {heading} |")[2].split("\n\n")[0].splitlines()[2:]
    return [name for row in rows for name in re.findall(r"`(\w+)`|(\d+)", row.split("|")[1]) for name in name if name]


@pytest.mark.parametrize("block", PYTHON_BLOCKS)
def test_python_runs(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (60, 40)).save("boat.png")
    with serving(ScriptedServer(chain_or_clip)) as server:
        exec(compile(block.replace("localhost:50051", server.target), "docs/client.md", "exec"), {})
    assert server.requests


async def test_the_body_of_a_response_is_the_file() -> None:
    names: dict[str, Any] = {}
    exec(compile(PYTHON.findall(VIDEO_PAGE)[1], "docs/video.md", "exec"), names)
    with serving(ScriptedServer()) as server:
        async with stillcue.AsyncClient(server.target) as client:
            assert [part async for part in names["body"](client, b"a picture", "A boat.")] == [b"chunk 0;", b"chunk 1;"]


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_parse(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("boat.png", "roots.pem", "render.pem", "render.key", "NotoSansCJK-Regular.ttc"):
        Path(name).touch()
    Path("render.token").write_text("token\n")
    assert parse_arguments(shlex.split(command)[1:]).command == command.split()[1]


def test_the_request_as_json_is_one_of_the_contract() -> None:
    (block,) = re.findall(r"^```json\n(.*?)^```", LONG_CLIPS, re.MULTILINE | re.DOTALL)
    request = json_format.Parse(block, generate_pb2.GenerateRequest())
    assert [segment.prompt for segment in request.segments] == [
        "A boat leaves the harbour.",
        "Gulls rise above the boat.",
    ]


def test_every_flag_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("generate", "score", "capabilities"):
        with pytest.raises(SystemExit):
            parse_arguments([command, "--help"])
        flags = set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help"}
        assert {flag for flag in flags if flag not in GUIDE} == set()


def test_every_option_is_in_the_table() -> None:
    assert set(table("option")) - {"PNG"} >= set(stillcue.GenerateOptions.__annotations__)
    assert set(table("option")) <= set(stillcue.GenerateOptions.__annotations__)


def test_every_error_is_in_the_table() -> None:
    kinds = {name for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, Exception)}
    assert set(table("error")) == kinds - {"StillcueError"}


def test_every_exit_code_is_in_the_table() -> None:
    assert table("exit code") == ["0", "1", "2", "3", "130"]


def test_every_environment_variable_is_named() -> None:
    variables = [value for name, value in vars(connection).items() if name.endswith("_VARIABLE")]
    assert len(variables) == 6
    for variable in variables:
        assert f"`{variable}`" in GUIDE


def test_both_clients_have_the_same_methods() -> None:
    def methods(kind: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(method).parameters)
            for name, method in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_") or name == "__init__"
        }

    synchronous, asynchronous = methods(stillcue.Client), methods(stillcue.AsyncClient)
    synchronous["aclose"] = synchronous.pop("close")
    assert synchronous == asynchronous
