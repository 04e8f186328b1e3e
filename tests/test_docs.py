"""Links, make targets and files named in README and docs exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parent.parent
_PAGES = [
    _ROOT / "README.md",
    _ROOT / "CHANGELOG.md",
    _ROOT / "CONTRIBUTING.md",
    *sorted((_ROOT / "docs").rglob("*.md")),
]
_TARGETS = set(re.findall(r"^([a-z-]+):", (_ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)\)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.name)
def test_named_make_targets_and_files_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"`make ([a-z-]+)`|^\$ make ([a-z-]+)", text, re.MULTILINE):
        assert (target[0] or target[1]) in _TARGETS
    for path in re.findall(r"`((?:server|engine|export|pocket|proto|scripts|tests|benchmarks|docs)/[\w./-]+)`", text):
        assert (_ROOT / path).exists(), f"{page.name} names {path}"


def test_every_folder_stands_in_the_readme() -> None:
    tree = (_ROOT / "README.md").read_text(encoding="utf-8")
    tracked = {"proto", "clients", "server", "engine", "export", "pocket", "benchmarks", "scripts", "tests", "docs"}
    missing = [name for name in tracked if not re.search(rf"^{name}/", tree, re.MULTILINE)]
    assert not missing


def test_every_published_figure_has_its_command_and_its_file() -> None:
    page = (_ROOT / "docs" / "figures.md").read_text(encoding="utf-8")
    modules = re.findall(r"python -m ([\w.]+)", page)
    assert modules
    for module in modules:
        path = _ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), f"figures.md names {module}"
    listed = set(re.findall(r"`([\w/-]+\.json)`", page))
    assert {path for path in listed if not (_ROOT / path).is_file()} == set()
    published = {str(path.relative_to(_ROOT)) for path in (_ROOT / "benchmarks" / "results").glob("*.json")}
    assert published <= listed
