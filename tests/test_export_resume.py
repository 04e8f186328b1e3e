"""A killed export resumes and writes the same files as an uninterrupted one."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.api.capabilities import Geometry
from engine.bundle.folder import MANIFEST_NAME, file_sha256, read_manifest
from engine.bundle.manifest import FileSpec, Manifest
from export.bundle.build_log import BUILD_LOG_NAME, BuildLog
from export.bundle.exporter import export_bundle
from export.bundle.plan import ExportPlan
from export.errors import ExportError
from export.weights.layouts.opening import open_checkpoint
from export.weights.serving_defaults import FAMILY_DEFAULTS

_KILL_COUNT = int(os.environ.get("STILLCUE_KILL_COUNT", "3"))
_GEOMETRY = Geometry(48, 48, 9)
_PATIENCE_SECONDS = 600.0


def _plan(checkpoint: Path, out: Path) -> ExportPlan:
    opened = open_checkpoint(checkpoint)
    return ExportPlan(opened, out, (_GEOMETRY,), FAMILY_DEFAULTS[opened.family], "tiny")


def _export(checkpoint: Path, out: Path) -> None:
    """The process that is killed."""
    export_bundle(_plan(checkpoint, out), lambda _: None)


def _steps(out: Path) -> list[str]:
    try:
        return list(json.loads((out / BUILD_LOG_NAME).read_text()))
    except FileNotFoundError:
        return []


@pytest.mark.walk
def test_an_export_that_is_killed_ends_like_one_that_is_not(tiny_bundle: Path, tmp_path: Path) -> None:
    checkpoint, out = tiny_bundle.parent / "checkpoint", tmp_path / "bundle"
    draw = random.Random(os.urandom(8))
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["export.bundle.exporter", "diffusers", "transformers"])
    finished: list[str] = []
    written: dict[str, int] = {}  # when weights that are finished were written
    for _ in range(_KILL_COUNT):
        process = processes.Process(target=_export, args=(checkpoint, out))
        process.start()
        _wait_for_a_step(process, out, finished)
        time.sleep(draw.uniform(0.0, 2.0))
        process.kill()
        process.join()
        if (out / MANIFEST_NAME).exists():  # it was done before
            break
        assert set(finished) <= set(_steps(out))  # what is finished stays finished
        finished = _steps(out)
        written = {file: written.get(file, changed) for file, changed in _weights(out, finished).items()}
    else:
        _export(checkpoint, out)
        assert not (out / BUILD_LOG_NAME).exists()
    assert written
    assert _weights(out, finished) == written  # what was finished was not done again
    _compare(read_manifest(out)[0], read_manifest(tiny_bundle)[0])
    left = {file.relative_to(out).as_posix() for file in out.rglob("*") if file.is_file()} - {BUILD_LOG_NAME}
    assert left == {*read_manifest(out)[0].files, MANIFEST_NAME}  # nothing half-written


def _weights(out: Path, steps: list[str]) -> dict[str, int]:
    """Files of weights that finished steps wrote, and when."""
    names = [name.removeprefix("weights of ") for name in steps if name.startswith("weights of ")]
    return {name: (out / "weights" / f"{name}.safetensors").stat().st_mtime_ns for name in names}


def _wait_for_a_step(process: multiprocessing.process.BaseProcess, out: Path, before: list[str]) -> None:
    started = time.monotonic()
    while process.is_alive() and len(_steps(out)) <= len(before):
        assert time.monotonic() - started < _PATIENCE_SECONDS, "the export stands still"
        time.sleep(0.01)


def _compare(resumed: Manifest, undisturbed: Manifest) -> None:
    graphs = {graph.file: graph for graph in undisturbed.graphs}
    assert len(resumed.graphs) == 8
    for graph in resumed.graphs:
        assert graph == graphs[graph.file]
    for name, spec in resumed.files.items():
        assert spec == undisturbed.files[name], name
    assert resumed.preview == undisturbed.preview
    assert resumed.checkpoint_digest == undisturbed.checkpoint_digest


class TestJournal:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return tmp_path

    @staticmethod
    def _step(folder: Path, inputs: dict[str, object], context: dict[str, object] | None = None) -> int:
        """How often the work was done, asked of an answer that counts."""
        file = folder / "made.bin"

        def work() -> tuple[dict[str, int], list[Path]]:
            count = int(file.read_text()) + 1 if file.exists() and file.read_text().isdigit() else 1
            file.write_text(str(count))
            return {"count": count}, [file]

        return int(BuildLog(folder, context or {}).step("made", inputs, work)["count"])

    def test_a_finished_step_is_not_done_again(self, folder: Path) -> None:
        assert self._step(folder, {"size": 1}) == 1
        assert self._step(folder, {"size": 1}) == 1

    def test_other_inputs_are_another_step(self, folder: Path) -> None:
        assert self._step(folder, {"size": 1}) == 1
        assert self._step(folder, {"size": 2}) == 2
        assert self._step(folder, {"size": 2}, {"libraries": "newer"}) == 3

    @pytest.mark.parametrize("content", [None, b"", b"\xff", b"12"])
    def test_a_file_that_is_not_what_was_written_is_written_again(self, folder: Path, content: bytes | None) -> None:
        self._step(folder, {})
        if content is None:
            (folder / "made.bin").unlink()
        else:
            (folder / "made.bin").write_bytes(content)
        before = (folder / BUILD_LOG_NAME).read_bytes()
        if content == b"\xff":
            with pytest.raises(UnicodeDecodeError):  # the work ran: it read the damaged file
                self._step(folder, {})
            assert (folder / BUILD_LOG_NAME).read_bytes() == before
        else:
            assert self._step(folder, {}) == (13 if content == b"12" else 1)

    def test_a_step_holds_the_files_of_steps_inside_it(self, folder: Path) -> None:
        log, file = BuildLog(folder, {}), folder / "made.bin"

        def inside() -> tuple[dict[str, int], list[Path]]:
            file.write_bytes(b"plan")
            return {}, [file]

        def around() -> tuple[dict[str, int], list[Path]]:
            log.step("inside", {}, inside)
            return {}, [file]

        log.step("around", {}, around)
        steps = json.loads((folder / BUILD_LOG_NAME).read_text())
        assert (
            steps["around"]["files"]
            == steps["inside"]["files"]
            == {"made.bin": FileSpec(sha256=file_sha256(file), byte_count=4).as_dict()}
        )

    @pytest.mark.parametrize("content", ["", "{", "[]", '{"made": 3}', '{"made": {"inputs": ""}}'])
    def test_a_journal_that_is_none_says_nothing(self, folder: Path, content: str) -> None:
        (folder / BUILD_LOG_NAME).write_text(content)
        assert self._step(folder, {}) == 1


@pytest.fixture
def small_disk() -> Iterator[None]:
    """No file of this process may grow beyond 6 kB: a write fails as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6_000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.usefixtures("small_disk")
def test_a_disk_that_fills_up_leaves_nothing_half_written(tiny_bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    with pytest.raises(
        ExportError, match=r"--out .*: the disk is full; free some space and run the same command again"
    ):
        _export(tiny_bundle.parent / "checkpoint", out)
    assert not (out / MANIFEST_NAME).exists()
    left = [file for file in out.rglob("*") if file.is_file()]
    undisturbed = {
        file.relative_to(tiny_bundle): file_sha256(file) for file in tiny_bundle.rglob("*") if file.is_file()
    }
    for file in left:
        assert file.name == BUILD_LOG_NAME or file_sha256(file) == undisturbed[file.relative_to(out)]
