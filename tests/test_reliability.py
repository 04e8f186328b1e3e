"""Every promise has tests, every recording test belongs to a promise, and docs/reliability.md shows their figures."""

from __future__ import annotations

import ast
import json
from pathlib import Path

from scripts.promises import PROMISES
from scripts.reliability import PAGE, REACHED, render

_TESTS = Path(__file__).resolve().parent


def _recording_tests() -> set[str]:
    """``file::function`` of every test that takes the fixture ``promise``."""
    found = set()
    for file in sorted(_TESTS.glob("test_*.py")):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                names = {argument.arg for argument in (*node.args.args, *node.args.kwonlyargs)}
                if "promise" in names:
                    found.add(f"{file.name}::{node.name}")
    return found


def test_every_promise_has_its_tests_and_the_other_way_round() -> None:
    named = [test for promise in PROMISES for test in promise.tests]
    assert len(set(named)) == len(named)
    assert set(named) == _recording_tests()


def test_every_test_of_a_promise_has_a_figure_and_the_page_shows_it() -> None:
    figures = json.loads(REACHED.read_text(encoding="utf-8"))["figures"]
    assert set(figures) == {test for promise in PROMISES for test in promise.tests}
    assert PAGE.read_text(encoding="utf-8") == render()
