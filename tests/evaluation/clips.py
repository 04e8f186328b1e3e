"""Reads the clips of a run for comparison."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def clips_of(folder: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """The clips by arm and index, without the time that they took."""
    clips = map(json.loads, (folder / "clips.jsonl").read_text(encoding="utf-8").splitlines())
    return {(clip["arm"], clip["index"]): clip | {"seconds": None} for clip in clips}
