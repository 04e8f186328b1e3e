"""``folder_paths``: the folders below the base directory."""

from __future__ import annotations

from pathlib import Path

_base: list[Path] = []


def set_base(folder: Path) -> None:
    """Sets the base directory and creates its folders."""
    _base[:] = [folder]
    for name in ("custom_nodes", "input", "output", "temp"):
        (folder / name).mkdir(parents=True, exist_ok=True)


def get_input_directory() -> str:
    return str(_base[0] / "input")


def get_output_directory() -> str:
    return str(_base[0] / "output")


def get_temp_directory() -> str:
    return str(_base[0] / "temp")


def get_annotated_filepath(name: str) -> str:
    return str(_base[0] / "input" / name)
