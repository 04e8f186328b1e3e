"""Checks the files of a bundle against the manifest: first that all are there and whole, then their digests."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from threading import Event

from engine.api.errors import BundleInvalid
from engine.bundle.checked_files import CheckedFiles, FileIdentity
from engine.bundle.manifest import FileSpec, Manifest
from engine.bundle.progress import Progress
from engine.host.processors import Processors

_log = logging.getLogger(__name__)
_CHUNK_BYTES = 4 * 2**20
_LEAST_REMEMBERED_BYTES = 8 * 2**20  # read in 20 ms: remembering less would write a file for nothing


def check_files(folder: Path, manifest: Manifest, checked: CheckedFiles) -> None:
    """Compares every file with its size and digest; what ``checked`` holds is not read.

    A file that matched is added to ``checked`` from 8 MiB on. Raises ``BundleInvalid``, naming the file, the fault and
    the remedy.
    """
    identities = {name: _identity(folder, name, spec) for name, spec in manifest.files.items()}
    unread = [name for name, identity in identities.items() if not checked.holds(name, identity)]
    unread.sort(key=lambda name: manifest.files[name].byte_count, reverse=True)  # so that all threads end together
    check = _DigestCheck(folder, manifest, checked, identities, unread)
    try:
        check.run(unread)
    finally:
        checked.save()
    read_bytes = sum(manifest.files[name].byte_count for name in unread)
    all_bytes = sum(spec.byte_count for spec in manifest.files.values())
    _log.info("files match their digests: %d bytes read, %d bytes known", read_bytes, all_bytes - read_bytes)


class _DigestCheck:
    """Reads files on several threads: hashing releases the interpreter."""

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        checked: CheckedFiles,
        identities: dict[str, FileIdentity],
        unread: Iterable[str],
    ) -> None:
        self._folder, self._manifest, self._checked, self._identities = folder, manifest, checked, identities
        self._progress = Progress("checking files", sum(manifest.files[name].byte_count for name in unread), "bytes")
        self._is_stopped = Event()

    def run(self, names: Iterable[str]) -> None:
        """Raises the first fault without reading the rest."""
        with ThreadPoolExecutor(Processors.of_this_process().count, thread_name_prefix="digests") as pool:
            try:
                waiting = [pool.submit(self._check, name) for name in names]
                for finished in wait(waiting, return_when=FIRST_EXCEPTION).done:
                    finished.result()
            finally:
                self._is_stopped.set()

    def _check(self, name: str) -> None:
        path, identity = self._folder / name, self._identities[name]
        is_settled = identity.settle()
        try:
            digest = self._digest(path)
            is_unchanged = is_settled and FileIdentity.of(path) == identity  # while it was read
        except OSError as error:
            raise BundleInvalid(f"cannot read {path}: {error.strerror}; copy the bundle again") from error
        if digest is None:
            return
        if digest != self._manifest.files[name].sha256:
            raise BundleInvalid(
                f"{path} does not match its digest: it is damaged or was changed; copy the bundle again"
            )
        if is_unchanged and identity.byte_count >= _LEAST_REMEMBERED_BYTES:
            self._checked.add(name, identity)

    def _digest(self, path: Path) -> str | None:
        """SHA-256 in hexadecimal; None once the check was stopped."""
        digest, chunk = hashlib.sha256(), bytearray(_CHUNK_BYTES)
        with path.open("rb", buffering=0) as stream:
            while count := stream.readinto(chunk):
                if self._is_stopped.is_set():
                    return None
                digest.update(memoryview(chunk)[:count])
                if self._progress.add(count):
                    self._checked.save()  # a start that is ended during the check goes on from here
        return digest.hexdigest()


def _identity(folder: Path, name: str, spec: FileSpec) -> FileIdentity:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise BundleInvalid(_outside(folder, name))
    if not path.is_file():
        raise BundleInvalid(f"{path} is missing; copy the bundle again, whole")
    identity = FileIdentity.of(path)
    if identity.byte_count != spec.byte_count:
        raise BundleInvalid(
            f"{path} has {identity.byte_count} bytes instead of {spec.byte_count}; copy the bundle again, whole"
        )
    return identity


def _outside(folder: Path, name: str) -> str:
    """Why a file that lies elsewhere cannot be served, and the remedy: a copy, if a link leads there."""
    path = folder / name
    if ".." in Path(name).parts or Path(name).is_absolute():
        return f"{name} lies outside the bundle's folder; export the checkpoint again"
    link = next((item for item in (path, *path.parents) if item.is_symlink()), path)
    return (
        f"{path} is a link out of the bundle's folder ({link} leads to {path.resolve()}), and ONNX Runtime reads "
        f"weights from the folder of their graph only; copy the bundle with `cp -rL {folder} NEW_FOLDER` and serve "
        "the copy"
    )
