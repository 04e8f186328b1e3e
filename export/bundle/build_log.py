"""The log of finished steps, by which an interrupted export resumes.

The log lies in the bundle's folder until the manifest is written. A step counts as finished when the log holds it with
the same inputs and its files are on disk with the same digests; any other step runs again. Inputs are compared by
digest, so a changed checkpoint, option or library version is never mistaken for the former one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from engine.bundle.folder import file_sha256
from engine.bundle.manifest import FileSpec
from export.atomic_file import write_text

BUILD_LOG_NAME = "export.journal.json"
_LIBRARIES = ("torch", "diffusers", "transformers", "onnx", "onnxscript", "onnxruntime")


class BuildLog:
    """The steps of one export into ``folder``. ``context`` is what every step depends on.

    A dry run reads the log of an interrupted export and writes nothing.
    """

    def __init__(self, folder: Path, context: Mapping[str, Any], *, is_dry_run: bool = False) -> None:
        self._folder, self._context, self._is_dry_run = folder, dict(context), is_dry_run
        self._path = folder / BUILD_LOG_NAME
        self._steps: dict[str, dict[str, Any]] = _read(self._path)
        self._checked: dict[str, FileSpec] = {}
        self._inside: dict[str, FileSpec] = {}  # files of steps that ran inside the one that runs

    def step(
        self, name: str, inputs: Mapping[str, Any], work: Callable[[], tuple[dict[str, Any], Iterable[Path]]]
    ) -> dict[str, Any]:
        """Returns the answer of ``work``, from the log if the step is finished, else by calling it.

        ``work`` returns an answer of JSON types and the files that it wrote inside the folder. It may run other steps.
        """
        digest = _digest({**self._context, "step": name, **inputs})
        logged = self._steps.get(name)
        if logged is not None and logged["inputs"] == digest and self._are_whole(logged["files"]):
            self._inside |= {file: FileSpec.from_dict(recorded) for file, recorded in logged["files"].items()}
            answer: dict[str, Any] = logged["answer"]
            return answer
        around, self._inside = self._inside, {}
        answer, files = work()
        paths = {file.relative_to(self._folder).as_posix(): file for file in files}
        specs = {name: self._inside.get(name) or _file_spec(path) for name, path in paths.items()}
        self._inside = around | specs
        self._checked |= specs
        self._steps[name] = {
            "inputs": digest,
            "files": {file: spec.as_dict() for file, spec in specs.items()},
            "answer": answer,
        }
        if not self._is_dry_run:
            write_text(self._path, json.dumps(self._steps, indent=1) + "\n")
        return answer

    def file(self, name: str) -> FileSpec:
        """Digest and size of a file in the folder. The file is read at most once in an export."""
        if name not in self._checked:
            self._checked[name] = _file_spec(self._folder / name)
        return self._checked[name]

    def close(self) -> None:
        """Removes the log; the manifest replaces it."""
        self._path.unlink(missing_ok=True)

    def _are_whole(self, files: Mapping[str, Mapping[str, Any]]) -> bool:
        for name, recorded in files.items():
            spec, path = FileSpec.from_dict(recorded), self._folder / name
            if not path.is_file() or path.stat().st_size != spec.byte_count or self.file(name) != spec:
                return False
        return True


def export_context(verify: str) -> dict[str, Any]:
    """The inputs that all steps share: library versions, the exporter's own code, and the verify option."""
    code = hashlib.sha256()
    root = Path(__file__).parents[1]
    for file in sorted(root.rglob("*.py")):
        code.update(f"{file.relative_to(root)}\0".encode() + file.read_bytes())
    return {"libraries": library_versions(), "exporter": code.hexdigest(), "verify": verify}


def library_versions() -> dict[str, str]:
    """Versions of the libraries that determine the files of a bundle."""
    return {library: version(library) for library in _LIBRARIES}


def _file_spec(path: Path) -> FileSpec:
    return FileSpec(sha256=file_sha256(path), byte_count=path.stat().st_size)


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """Steps of an interrupted export. A log that cannot be read counts as empty."""
    try:
        steps = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    is_valid = isinstance(steps, dict) and all(
        isinstance(step, dict) and {"inputs", "files", "answer"} <= step.keys() for step in steps.values()
    )
    return steps if is_valid else {}


def _digest(inputs: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, default=str).encode()).hexdigest()
