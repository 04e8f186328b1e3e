"""A bundle folder on disk: reads the manifest and checks every file against its digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from engine.api.errors import BundleInvalid
from engine.bundle.manifest import FORMAT_VERSION, FileSpec, Manifest
from engine.host.processors import Processors

MANIFEST_NAME = "bundle.json"


def read_manifest(folder: Path) -> tuple[Manifest, str]:
    """Reads ``bundle.json`` and checks every file against it. Returns the manifest and its own SHA-256.

    Raises ``BundleInvalid``, naming the file, the fault and the remedy.
    """
    path, content = _read(folder)
    manifest = _parse(path, content)
    for name in _named_files(manifest):
        if name not in manifest.files:
            raise BundleInvalid(f"{path} names {name} but not its digest; export the checkpoint again")
    with ThreadPoolExecutor(Processors.of_this_process().count) as pool:  # hashing releases the interpreter
        list(pool.map(lambda item: _check_file(folder, *item), manifest.files.items()))
    return manifest, hashlib.sha256(content).hexdigest()


def parse_manifest(folder: Path) -> Manifest:
    """Reads ``bundle.json`` without checking any other file. Raises ``BundleInvalid``."""
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


def _named_files(manifest: Manifest) -> Iterator[str]:
    """Files that the engine opens by name. Weight files are opened by the graphs."""
    for graph in manifest.graphs:
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
        raise BundleInvalid(f"{path} is not a manifest: {place}{fault}; export the checkpoint again") from error
    except (ValueError, AttributeError) as error:
        raise BundleInvalid(f"{path} is not JSON; export the checkpoint again") from error


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


def _check_file(folder: Path, name: str, spec: FileSpec) -> None:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise BundleInvalid(_outside(folder, name))
    if not path.is_file():
        raise BundleInvalid(f"{path} is missing; copy the bundle again, whole")
    if path.stat().st_size != spec.byte_count:
        raise BundleInvalid(
            f"{path} has {path.stat().st_size} bytes instead of {spec.byte_count}; copy the bundle again, whole"
        )
    if file_sha256(path) != spec.sha256:
        raise BundleInvalid(f"{path} does not match its digest: it is damaged or was changed; copy the bundle again")
