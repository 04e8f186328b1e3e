"""What an export has finished, so that one that was killed goes on where it was. Knows steps, files and digests.

The journal lies in the bundle's folder until the manifest is written. A step counts as finished when it stands there
with the same inputs and its files are on disk with the digests that they had; anything else is done again. Whether
the inputs are the same is asked of a digest, so a changed checkpoint, option or library version is never mistaken.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from engine.bundle.folder import file_sha256
from engine.bundle.manifest import FileSpec

JOURNAL_NAME = "export.journal.json"


class Journal:
    """The steps of one export into ``folder``. ``context`` is what every step depends on."""

    def __init__(self, folder: Path, context: Mapping[str, Any]) -> None:
        self._folder, self._context = folder, dict(context)
        self._path = folder / JOURNAL_NAME
        self._steps: dict[str, dict[str, Any]] = _read(self._path)
        self._checked: dict[str, FileSpec] = {}

    def step(
        self, name: str, inputs: Mapping[str, Any], work: Callable[[], tuple[dict[str, Any], Iterable[Path]]]
    ) -> dict[str, Any]:
        """What ``work`` answered, now or in the export that was interrupted.

        ``work`` gives an answer that JSON can hold and the files that it wrote inside the folder.
        """
        digest = _digest({**self._context, "step": name, **inputs})
        kept = self._steps.get(name)
        if kept is not None and kept["inputs"] == digest and self._are_whole(kept["files"]):
            answer: dict[str, Any] = kept["answer"]
            return answer
        answer, files = work()
        specs = {file.relative_to(self._folder).as_posix(): self._spec(file) for file in files}
        self._checked |= specs
        self._steps[name] = {
            "inputs": digest,
            "files": {file: spec.model_dump() for file, spec in specs.items()},
            "answer": answer,
        }
        self._write()
        return answer

    def file(self, name: str) -> FileSpec:
        """Digest and size of a file in the folder; read again only if no step of this export knows it."""
        if name not in self._checked:
            self._checked[name] = self._spec(self._folder / name)
        return self._checked[name]

    def close(self) -> None:
        """Ends the journal: the manifest now says what there is."""
        self._path.unlink(missing_ok=True)

    def _are_whole(self, files: Mapping[str, Mapping[str, Any]]) -> bool:
        for name, recorded in files.items():
            spec, path = FileSpec.model_validate(recorded), self._folder / name
            if not path.is_file() or path.stat().st_size != spec.byte_count:
                return False
            if name not in self._checked:
                self._checked[name] = self._spec(path)
            if self._checked[name] != spec:
                return False
        return True

    @staticmethod
    def _spec(path: Path) -> FileSpec:
        return FileSpec(sha256=file_sha256(path), byte_count=path.stat().st_size)

    def _write(self) -> None:
        if not self._folder.is_dir():  # a dry run leaves nothing behind
            return
        partial = self._path.with_suffix(".partial")
        partial.write_text(json.dumps(self._steps, indent=1) + "\n", encoding="utf-8")
        partial.replace(self._path)


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """Steps of an earlier try. A journal that cannot be read says nothing, which is what an empty one says."""
    try:
        steps = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    whole = isinstance(steps, dict) and all(
        isinstance(step, dict) and {"inputs", "files", "answer"} <= step.keys() for step in steps.values()
    )
    return steps if whole else {}


def _digest(inputs: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, default=str).encode()).hexdigest()
