"""Bundles with a file that is large enough to be remembered, and starts of an engine on them."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from pathlib import Path

from engine.bundle.folder import MANIFEST_NAME, parse_manifest
from engine.bundle.manifest import FileSpec

POCKET = Path(__file__).parent.parent / "pocket" / "model"
LARGE = "weights/large.safetensors"
LARGE_BYTES = 8 * 2**20


def large_bundle(folder: Path, byte_count: int = LARGE_BYTES, sha256: str | None = None) -> Path:
    """Copies pocket's bundle into ``folder`` and adds a file of zeros; ``sha256`` None: its true digest."""
    shutil.copytree(POCKET, folder)
    manifest = parse_manifest(folder)
    (folder / LARGE).parent.mkdir()
    (folder / LARGE).touch()
    os.truncate(folder / LARGE, byte_count)
    digest = sha256 or hashlib.sha256(bytes(byte_count)).hexdigest()
    spec = FileSpec(sha256=digest, byte_count=byte_count)
    changed = manifest.with_changes(files={**manifest.files, LARGE: spec})
    (folder / MANIFEST_NAME).write_text(changed.to_json())
    return folder


def small_bytes(bundle: Path) -> int:
    """Bytes of all files but the large one."""
    return sum(spec.byte_count for name, spec in parse_manifest(bundle).files.items() if name != LARGE)


def log_to(file: Path) -> None:
    """Sets a process up to append its log to a file."""
    logging.basicConfig(filename=file, format="%(message)s", level=logging.INFO, force=True)
