"""The command line in a process of its own, and a folder for it to work in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import stillcue

CLIENT_FOLDER = Path(stillcue.__file__).parents[1]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), env=environment(), capture_output=True, text=True, check=False)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "stillcue.cli", *arguments]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(CLIENT_FOLDER)}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}
