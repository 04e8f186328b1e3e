"""Digests of large files are checked once; a file that changed, or another file in its place, is read again."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import subprocess
from functools import partial
from pathlib import Path

import psutil
import pytest

from engine import open_engine
from engine.api.errors import BundleInvalid
from engine.api.settings import EngineSettings, VerifyDigests, WorkerSettings
from engine.bundle import checked_files, progress
from engine.bundle.checked_files import FOLDER_NAME, CheckedFiles, FileIdentity
from engine.bundle.file_check import check_files
from engine.bundle.folder import MANIFEST_NAME, open_manifest
from engine.bundle.progress import Progress
from engine.worker.engine import WorkerEngine
from tests.large_bundles import LARGE, LARGE_BYTES, large_bundle, log_to, small_bytes
from tests.server_processes import FREE_PORTS, start_process
from tests.serving import PATIENCE_SECONDS, eventually

_CACHE = "cache"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return large_bundle(tmp_path / "bundle")


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


def check(bundle: Path, *, is_forgetful: bool = False, cache: Path | None = None) -> None:
    manifest, digest = open_manifest(bundle)
    cache = bundle.parent / _CACHE if cache is None else cache
    check_files(bundle, manifest, CheckedFiles(cache, digest, is_forgetful=is_forgetful))


def told(log: pytest.LogCaptureFixture) -> str:
    """What the last check read."""
    lines = [message for message in log.messages if message.startswith("files match")]
    return lines[-1].removeprefix("files match their digests: ")


def all_read(bundle: Path) -> str:
    return f"{small_bytes(bundle) + LARGE_BYTES} bytes read, 0 bytes known"


def large_known(bundle: Path) -> str:
    return f"{small_bytes(bundle)} bytes read, {LARGE_BYTES} bytes known"


def overwrite_in_place(path: Path) -> None:
    """Flips a bit and sets the time of modification back."""
    before = path.stat()
    with path.open("r+b") as stream:
        stream.seek(LARGE_BYTES // 2)
        stream.write(b"\1")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(("verify", "is_known"), [("once", True), ("always", False)])
def test_the_second_start_reads_no_large_file(
    bundle: Path, tmp_path: Path, log: pytest.LogCaptureFixture, verify: VerifyDigests, is_known: bool
) -> None:
    settings = EngineSettings(1, kernel_cache_folder=tmp_path / _CACHE, verify_digests=verify)
    for expected in (all_read(bundle), large_known(bundle) if is_known else all_read(bundle)):
        open_engine(bundle, settings).close()
        assert told(log) == expected


async def test_a_worker_that_was_killed_comes_back_without_reading_again(bundle: Path, tmp_path: Path) -> None:
    lines = tmp_path / "log"
    opener = partial(open_engine, bundle, EngineSettings(1, kernel_cache_folder=tmp_path / _CACHE))
    settings = WorkerSettings(restart_seconds=0.01, set_up=partial(log_to, lines))
    engine = await asyncio.to_thread(WorkerEngine(opener, settings).open)
    try:
        first = engine.process_id
        os.kill(first or 0, signal.SIGKILL)
        await eventually(lambda: engine.process_id not in {None, first})
    finally:
        await asyncio.to_thread(engine.close)
    checks = [line for line in lines.read_text().splitlines() if line.startswith("files match")]
    assert [line.removeprefix("files match their digests: ") for line in checks] == [
        all_read(bundle),
        large_known(bundle),
    ]


def test_a_change_in_place_is_found_whatever_its_time_says(bundle: Path) -> None:
    check(bundle)
    overwrite_in_place(bundle / LARGE)
    with pytest.raises(BundleInvalid, match=r"large\.safetensors does not match its digest: it is damaged"):
        check(bundle)


def test_a_copy_with_the_times_of_the_original_is_read(bundle: Path, tmp_path: Path) -> None:
    check(bundle)
    subprocess.run(["cp", "-a", bundle, tmp_path / "copy"], check=True)
    overwrite_in_place(tmp_path / "copy" / LARGE)
    with pytest.raises(BundleInvalid, match="does not match its digest"):
        check(tmp_path / "copy")


def test_both_of_two_copies_are_remembered(bundle: Path, tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    copy = shutil.copytree(bundle, tmp_path / "copy")
    for expected in (all_read(bundle), large_known(bundle)):
        for folder in (bundle, copy):
            check(folder)
            assert told(log) == expected


def test_another_manifest_knows_nothing(bundle: Path, log: pytest.LogCaptureFixture) -> None:
    """Another digest could stand in it."""
    check(bundle)
    (bundle / MANIFEST_NAME).write_text((bundle / MANIFEST_NAME).read_text() + "\n")
    check(bundle)
    assert told(log) == all_read(bundle)


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"{", b'{"files": 3}', b'{"files": [["a", [1, 2, 3]]]}', b'{"files": [], "more": 1}']
)
def test_a_record_that_is_damaged_says_nothing_and_is_written_again(
    bundle: Path, tmp_path: Path, log: pytest.LogCaptureFixture, content: bytes
) -> None:
    check(bundle)
    (record,) = (tmp_path / _CACHE / FOLDER_NAME).iterdir()
    whole = record.read_bytes()
    record.write_bytes(content)
    check(bundle)
    assert told(log) == all_read(bundle)
    assert record.read_bytes() == whole


def test_without_a_place_to_write_every_file_is_read(
    bundle: Path, tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    (tmp_path / _CACHE).write_text("a file, where a folder is to be made")
    check(bundle)
    assert told(log) == all_read(bundle)
    (said,) = [record for record in log.records if "is not written (" in record.message]
    assert (said.levelno, "so the next start reads all files again" in said.message) == (logging.INFO, True)


def test_a_bundle_of_small_files_writes_nothing(tmp_path: Path) -> None:
    check(large_bundle(tmp_path / "bundle", LARGE_BYTES - 1))
    assert not (tmp_path / _CACHE).exists()


def test_servers_of_one_machine_add_to_one_record(tmp_path: Path) -> None:
    identities = [FileIdentity(1, inode, 2, 3) for inode in range(3)]
    first, second = (CheckedFiles(tmp_path, "0" * 64) for _ in range(2))
    for checked, identity in ((first, identities[0]), (second, identities[1])):
        checked.add("large", identity)
        checked.save()
    found = CheckedFiles(tmp_path, "0" * 64)
    assert [found.holds("large", identity) for identity in identities] == [True, True, False]
    assert not CheckedFiles(tmp_path, "1" * 64).holds("large", identities[0])
    assert [file.suffix for file in (tmp_path / FOLDER_NAME).iterdir()] == [".json"]


def test_records_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checked_files, "_MAX_FILE_COUNT", 2)
    monkeypatch.setattr(checked_files, "_MAX_BUNDLE_COUNT", 2)
    identity = FileIdentity(1, 2, 3, 4)
    for number, digest in enumerate("abc"):
        checked = CheckedFiles(tmp_path, digest)
        for name in ("first", "second", "third"):
            checked.add(name, identity)
        checked.save()
        os.utime(tmp_path / FOLDER_NAME / f"{digest}.json", (number, number))
    CheckedFiles(tmp_path, "d").save()  # nothing to write
    assert sorted(file.stem for file in (tmp_path / FOLDER_NAME).iterdir()) == ["b", "c"]
    newest = CheckedFiles(tmp_path, "c")
    assert [newest.holds(name, identity) for name in ("first", "second", "third")] == [False, True, True]


def test_a_file_that_changed_just_now_is_read_a_moment_later(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    identity = FileIdentity.of(tmp_path / "file")
    assert identity.settle()
    (tmp_path / "file").write_bytes(b"")  # the same content, at a later time
    assert FileIdentity.of(tmp_path / "file") != identity
    assert not identity._replace(changed_ns=2**62).settle()  # the clock of the file system is ahead


def test_progress_is_told_every_few_seconds(log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = Progress("checking files", 10, "bytes")
    assert not quiet.add(10)
    monkeypatch.setattr(progress, "_EVERY_SECONDS", 0.0)
    checking, loading = Progress("checking files", 26_200_000_000, "bytes"), Progress("loading", 3, "graphs")
    assert checking.add(12_340_000_000)
    assert loading.add(2)
    assert log.messages == ["checking files: 12.3 GB of 26.2 GB", "loading: 2 graphs of 3 graphs"]


async def test_a_signal_during_the_check_ends_the_server_at_once(tmp_path: Path) -> None:
    """Reading 64 GB of zeros takes a minute or more."""
    bundle = large_bundle(tmp_path / "bundle", 64 * 2**30, sha256="0" * 64)
    process = await start_process("-m", "server", "--bundle", str(bundle), *FREE_PORTS, XDG_CACHE_HOME=str(tmp_path))
    server = psutil.Process(process.pid)
    await eventually(lambda: any(_reads(child, bundle / LARGE) for child in server.children()))
    workers = server.children()
    process.send_signal(signal.SIGTERM)
    _, said = await asyncio.wait_for(process.communicate(), PATIENCE_SECONDS)
    assert process.returncode == 0
    assert b"Traceback" not in said
    _, alive = await asyncio.to_thread(psutil.wait_procs, workers, PATIENCE_SECONDS)
    assert not alive


def _reads(process: psutil.Process, file: Path) -> bool:
    try:
        return str(file) in {item.path for item in process.open_files()}
    except psutil.Error:
        return False
