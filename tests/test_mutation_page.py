"""docs/mutation.md shows the results of the last run of all mutants, and gives a reason for every survivor."""

from __future__ import annotations

import json
from pathlib import Path

from scripts.mutation import RESULTS, table, undecorated

PAGE = (Path(__file__).parent.parent / "docs" / "mutation.md").read_text(encoding="utf-8")
MODULES = json.loads(RESULTS.read_text(encoding="utf-8"))


def test_the_page_shows_the_results() -> None:
    assert "\n".join(table(MODULES)) in PAGE


def test_every_survivor_has_a_reason() -> None:
    reasons = {}
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.replace(r"\|", "¦").strip("|").split(" | ")]
        if len(cells) == 4 and cells[1].startswith("`"):
            reasons[cells[0].strip("`"), cells[1].strip("`").strip(), cells[2].strip("`").strip()] = cells[3]
    for module in MODULES:
        for survivor in module["survivors"]:
            mutated = survivor["mutated"].replace("|", "¦")
            assert reasons[module["file"], survivor["function"], mutated], "survivor without a reason"


def test_properties_and_context_managers_are_mutated_as_methods() -> None:
    code = "class A:\n    @property\n    def size(self) -> int:\n        return 1\n\n    def other(self) -> None: ...\n"
    assert undecorated(code) == (
        "class A:\n    def _property_size(self) -> int:\n        return 1\n    size = property(_property_size)\n\n"
        "    def other(self) -> None: ...\n"
    )
    namespace: dict[str, type] = {}
    exec(undecorated(code), namespace)
    assert namespace["A"]().size == 1


def test_other_decorators_stay() -> None:
    code = "class A:\n    @classmethod\n    def make(cls) -> None: ...\n"
    assert undecorated(code) == code
