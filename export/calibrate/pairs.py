"""Labelled pairs of picture and sentence, one JSON object a line.

Fields: ``image`` (path beside the file), ``prompt``, ``mismatch`` (null where the two match, else what is wrong:
``subject``, ``colour``, ``environment`` or ``action``), and optionally ``box`` [left, top, right, bottom] and
``centre`` [x, y] of the subject as shares of the picture.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from engine.api.prompt_report import ClauseKind
from export.errors import ExportError

Mismatch = Literal["subject", "colour", "environment", "action"]
MISMATCHES: tuple[Mismatch, ...] = get_args(Mismatch)
# The kind of clause that each mismatch makes wrong.
_WRONG: dict[Mismatch, ClauseKind] = {
    "subject": ClauseKind.SUBJECT,
    "colour": ClauseKind.SUBJECT,
    "environment": ClauseKind.ENVIRONMENT,
    "action": ClauseKind.ACTION,
}


class Pair(BaseModel):
    """One line of the file."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    image: str
    prompt: str
    mismatch: Mismatch | None
    language: Literal["en", "zh"] | None = None
    box: tuple[float, float, float, float] | None = None
    centre: tuple[float, float] | None = None

    def label(self, kind: ClauseKind) -> bool | None:
        """True if a clause of this kind is right; None for the action of a subject that is not in the picture."""
        if self.mismatch is None:
            return True
        wrong = _WRONG[self.mismatch]
        if kind is wrong:
            return False
        return None if kind is ClauseKind.ACTION and wrong is ClauseKind.SUBJECT else True


@dataclass(frozen=True)
class PairFile:
    """Pairs, the folder that their pictures lie in, and the file's SHA-256."""

    folder: Path
    pairs: tuple[Pair, ...]
    sha256: str

    def split(self) -> tuple[PairFile, PairFile]:
        """Splits the pairs by picture into two halves, the same at every run; no picture is in both."""
        halves: tuple[list[Pair], list[Pair]] = ([], [])
        for pair in self.pairs:
            halves[hashlib.sha256(pair.image.encode()).digest()[0] % 2].append(pair)
        first, second = (PairFile(self.folder, tuple(half), self.sha256) for half in halves)
        return first, second


def read_pairs(path: Path) -> PairFile:
    """Reads a file of pairs. Raises ``ExportError`` naming the line and the fault."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ExportError(f"cannot read {path}: {error.strerror}") from error
    pairs = []
    for number, line in enumerate(content.splitlines(), 1):
        if line.strip():
            try:
                pairs.append(Pair.model_validate(json.loads(line)))
            except (ValueError, ValidationError) as error:
                first = error.errors(include_url=False)[0] if isinstance(error, ValidationError) else None
                what = f"{'.'.join(map(str, first['loc']))}: {first['msg']}" if first else "is not JSON"
                raise ExportError(f"{path}, line {number}: {what}") from error
    if not pairs:
        raise ExportError(f"{path} holds no pairs; write one JSON object per line")
    return PairFile(path.parent, tuple(pairs), hashlib.sha256(content).hexdigest())
