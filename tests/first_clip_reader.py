"""Follows docs/first-clip.md step by step, as a person does who has neither downloads nor a GPU.

What differs from the page:

* ``hf download`` copies the matching files of a small repository of the same layout (``tests/stand_in_repositories``);
* ``--size`` and ``--frames`` are 64x32 and 5;
* the one whole export leaves out ``--gpu`` and ``--precision int4``: compiling takes as long as all the rest, and the
  bfloat16 of an INT4 bundle has no kernels on the CPU that serves it. ``test_export_tensorrt`` and
  ``test_export_precisions`` compile for both cards. Dry runs keep both options;
* the server takes free ports, and the client is told its address by ``STILLCUE_SERVER``;
* commands of other programs (``_NOT_RUN``) are read, not run.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from engine.bundle.folder import read_manifest
from export.__main__ import main as export
from export.calibrate.__main__ import main as calibrate
from tests import command_line, first_clip_page
from tests.server_processes import FREE_PORTS, ROOT
from tests.stand_in_repositories import StandIns

_NOT_RUN = {"nvidia-smi", "df", "free", "make", "rsync", "python3", "docker", ".venv/bin/pip"}
_SIZE, _FRAMES = "64x32", "5"
PICTURES = 44  # for calibration: half of them are held out, and ten right and ten wrong labels are needed


class Reader:
    """A reader of the page whose current folder is ``folder``; ``done`` are the commands that ran."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._folder, self._capsys = folder, capsys
        self._stand_ins = StandIns(folder / "stand_ins")
        self._server = ExitStack()
        self._address = ""
        self.done: list[str] = []

    def follow(self, step: first_clip_page.Step) -> None:
        words = step.words if step.kind == "console" else []
        match words:
            case [".venv/bin/hf", "download", repository, "--local-dir", target, *includes]:
                assert set(includes[::2]) == {"--include"}
                self._stand_ins.download(repository, includes[1::2], Path(target))
            case [".venv/bin/python", "-m", "export", *options]:
                self._export(options)
            case [".venv/bin/python", "-m", "server", *options]:
                self._address = self._server.enter_context(_server(options))
            case [".venv/bin/stillcue", *arguments]:
                self._client(arguments)
            case [".venv/bin/python", "-m", "export.calibrate", *arguments]:
                self._server.close()
                self._calibrate(arguments)
            case []:
                self._read(step)
                return
            case [program, *_]:
                assert program in _NOT_RUN, step
                return
        self.done.append(words[2] if words[1] == "-m" else words[0].rpartition("/")[2])

    def _export(self, options: list[str]) -> None:
        is_whole = "--dry-run" not in options
        options = _with(options, {"--size": _SIZE, "--frames": _FRAMES})
        out = Path(options[options.index("--out") + 1])
        status = export(_without(options, ("--gpu", "--precision")) if is_whole else options)
        printed = self._capsys.readouterr()
        assert status == 0, printed.err
        if not is_whole:
            assert not out.exists()
            assert re.search(r"^transformer +int4 +1 ", printed.out, re.MULTILINE)
            assert all(word in printed.out for word in ("defaults of requests: ", "disk: ", "memory to run: "))
            return
        manifest, _ = read_manifest(out)
        (geometry,) = manifest.geometries
        assert (f"{geometry.width_px}x{geometry.height_px}", str(geometry.frame_count)) == (_SIZE, _FRAMES)
        assert [item.stage for item in manifest.adapters] == ["transformer_high", "transformer_low"]
        assert (manifest.schedule.step_count, manifest.guidance.scale) == (4, 1.0)
        assert manifest.scorer is not None
        assert manifest.scorer.calibration is None

    def _client(self, arguments: list[str]) -> None:
        environment = {**command_line.environment(), "STILLCUE_SERVER": self._address}
        ended = subprocess.run(
            command_line.command(*arguments), env=environment, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr
        expected = {
            "capabilities": f"sizes      {_SIZE}, {_FRAMES} frames",
            "score": "(uncalibrated score)",
            "generate": f"{_FRAMES} frames of {_SIZE} at 16 frames/s",
        }
        assert expected[arguments[0]] in ended.stdout
        for option, value in itertools.pairwise(arguments):
            if option in {"-o", "--sheet", "--json", "--crop"}:
                assert Path(value).stat().st_size > 0

    def _read(self, step: first_clip_page.Step) -> None:
        if step.kind == "python":
            exec(compile(step.text.replace("localhost:50051", self._address), "docs/first-clip.md", "exec"), {})
            printed = self._capsys.readouterr().out.splitlines()
            assert re.match(r"\d+ of 100, \w+", printed[0])
            assert len(printed) == 1 + int(_FRAMES)
            self.done.append("python")
        elif step.kind == "json":
            lines = [json.loads(line) for line in step.text.splitlines()]
            pairs = [{**line, "image": f"{number}.png"} for number in range(PICTURES) for line in lines]
            Path("pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs), encoding="utf-8")

    def _calibrate(self, arguments: list[str]) -> None:
        assert calibrate(arguments) == 0
        assert self._capsys.readouterr().out.startswith("fitted: subject en")
        manifest, _ = read_manifest(Path(arguments[0]))
        assert manifest.scorer is not None
        assert manifest.scorer.calibration is not None
        for option, value in itertools.pairwise(arguments):
            if option in {"--json", "--plot"}:
                assert Path(value).stat().st_size > 0


def _with(options: list[str], changed: dict[str, str]) -> list[str]:
    return [changed.get(before, word) for before, word in itertools.pairwise(["", *options])]


def _without(options: list[str], names: tuple[str, ...]) -> list[str]:
    pairs = itertools.pairwise(["", *options])
    return [word for before, word in pairs if word not in names and before not in names]


@contextmanager
def _server(options: list[str]) -> Iterator[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(command_line.CLIENT_FOLDER)])}
    command = [sys.executable, "-m", "server", *options, *FREE_PORTS]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = re.fullmatch(r"stillcue ready grpc=(\S+) metrics=\S+\n", process.stdout.readline())
        assert ready is not None
        try:
            yield ready[1]
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
