"""Builds an environment with only the libraries that the ``server`` extra requires.

The environment consists of links to installed distributions, so it needs no network and no copy. The distributions are
chosen from the same metadata that pip reads.
"""

from __future__ import annotations

import tomllib
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_ROOT = Path(__file__).resolve().parent.parent


def link_serving_libraries(folder: Path) -> set[str]:
    """Fills ``folder`` with links to the top-level files of the distributions; returns the distributions' names."""
    found = _closure(_requirements("server"))
    for item in found.values():
        for file in item.files or ():
            top = file.parts[0]
            if top not in {"..", "__pycache__"} and not (folder / top).exists():
                (folder / top).symlink_to(Path(str(item.locate_file(top))))
    return set(found)


def _requirements(extra: str) -> list[Requirement]:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [Requirement(line) for line in (*project["dependencies"], *project["optional-dependencies"][extra])]


def _closure(requirements: list[Requirement]) -> dict[str, Distribution]:
    found: dict[str, Distribution] = {}
    todo = list(requirements)
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        extras = ("", *requirement.extras)
        item = distribution(name)
        if name in found and not requirement.extras:
            continue
        found[name] = item
        for line in item.requires or ():
            needed = Requirement(line)
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                todo.append(needed)
    return found
