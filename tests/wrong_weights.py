"""Copies of bundles in which one value of one weight is wrong, as an export that compares nothing would write them."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path

import numpy as np

from engine.bundle.folder import MANIFEST_NAME, file_sha256, parse_manifest
from engine.bundle.manifest import FileSpec

_DTYPES = {"F32": np.float32, "F16": np.float16}


def with_wrong_value(bundle: Path, copy: Path, file: str, weight: str, value: float) -> Path:
    """Copies a bundle to ``copy`` and sets the first value of ``weight`` in ``file``; the manifest fits the copy."""
    shutil.copytree(bundle, copy)
    path = copy / file
    content = bytearray(path.read_bytes())
    (header_bytes,) = struct.unpack_from("<Q", content)
    entry = json.loads(content[8 : 8 + header_bytes])[weight]
    written = np.array([value]).astype(_DTYPES[entry["dtype"]]).tobytes()
    start = 8 + header_bytes + entry["data_offsets"][0]
    content[start : start + len(written)] = written
    path.write_bytes(content)
    manifest = parse_manifest(copy)
    spec = FileSpec(sha256=file_sha256(path), byte_count=len(content))
    (copy / MANIFEST_NAME).write_text(manifest.with_changes(files={**manifest.files, file: spec}).to_json())
    return copy
