"""Copies of bundles in which one value of one weight is wrong, as an export that compares nothing would write them."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path

import numpy as np
import onnx

from engine.bundle.folder import MANIFEST_NAME, file_sha256, parse_manifest
from engine.bundle.manifest import FileSpec

_OUTPUT = "magnitude"
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


def without_magnitude(bundle: Path) -> None:
    """Gives the bundle's solver the form of earlier exports, without the mean magnitude of its results."""
    manifest = parse_manifest(bundle)
    (solver,) = [graph for graph in manifest.graphs if graph.stage == "guide_and_step"]
    path = bundle / solver.file
    model = onnx.load(path)
    (output,) = [value for value in model.graph.output if value.name == _OUTPUT]
    model.graph.output.remove(output)
    onnx.save(model, path)
    older = solver.with_changes(outputs=tuple(item for item in solver.outputs if item.name != _OUTPUT))
    spec = FileSpec(sha256=file_sha256(path), byte_count=path.stat().st_size)
    changed = manifest.with_changes(
        graphs=tuple(older if graph is solver else graph for graph in manifest.graphs),
        files={**manifest.files, solver.file: spec},
    )
    (bundle / MANIFEST_NAME).write_text(changed.to_json())
