"""A bundle folder on disk: reads the manifest, and on request checks every file against its digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import msgspec

from engine.api.errors import BundleInvalid
from engine.bundle.checked_files import CheckedFiles
from engine.bundle.file_check import check_files
from engine.bundle.manifest import FORMAT_VERSION, Manifest

MANIFEST_NAME = "bundle.json"


def read_manifest(folder: Path) -> tuple[Manifest, str]:
    """Like ``open_manifest``, and checks every file against the manifest. Raises ``BundleInvalid``."""
    manifest, digest = open_manifest(folder)
    check_files(folder, manifest, CheckedFiles(None, digest))
    return manifest, digest


def open_manifest(folder: Path) -> tuple[Manifest, str]:
    """Reads ``bundle.json`` alone. Returns the manifest, which names every file, and its own SHA-256.

    Raises ``BundleInvalid``, naming the file, the fault and the remedy.
    """
    path, content = _read(folder)
    manifest = _parse(path, content)
    for name in named_files(manifest):
        if name not in manifest.files:
            raise BundleInvalid(f"{path} names {name} but not its digest; export the checkpoint again")
    return manifest, hashlib.sha256(content).hexdigest()


def parse_manifest(folder: Path) -> Manifest:
    """Reads ``bundle.json`` without comparing its parts. Raises ``BundleInvalid``."""
    return _parse(*_read(folder))


def _read(folder: Path) -> tuple[Path, bytes]:
    path = folder / MANIFEST_NAME
    try:
        return path, path.read_bytes()
    except OSError as error:
        raise BundleInvalid(
            f"cannot read {path}: {error.strerror}; give the folder that `python -m export` wrote"
        ) from error


def file_sha256(path: Path) -> str:
    """SHA-256 of a file in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def named_files(manifest: Manifest) -> Iterator[str]:
    """Files that the engine opens by name. Weight files are opened by the graphs."""
    for graph in manifest.graphs:
        if manifest.holds_graph(graph):
            yield graph.file
        yield from (file for engine in graph.engines for file in engine.files)
    yield manifest.tokenizer.file
    if manifest.scorer is not None:
        yield manifest.scorer.tokenizer.file
        yield manifest.scorer.contrast_file
        if manifest.scorer.contrasts is not None:
            yield manifest.scorer.contrasts.file


def _parse(path: Path, content: bytes) -> Manifest:
    try:
        version = json.loads(content).get("format_version")
        if version != FORMAT_VERSION:
            raise BundleInvalid(
                f"{path} has format version {version}, this server reads {FORMAT_VERSION}; export the checkpoint again"
            )
        return Manifest.from_json(content)
    except msgspec.ValidationError as error:
        fault, _, where = str(error).partition(" - at `$.")
        place = f"{where.rstrip('`')}: " if where else ""
        if "unknown field" in fault:
            fault += ", which a newer exporter may have written: update this server"
        raise BundleInvalid(f"{path} is not a manifest: {place}{fault}; export the checkpoint again") from error
    except (ValueError, AttributeError) as error:
        raise BundleInvalid(f"{path} is not JSON; export the checkpoint again") from error
