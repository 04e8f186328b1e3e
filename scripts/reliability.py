"""``python -m scripts.reliability``: runs the tests of every promise and writes docs/reliability.md from their figures.

``--render`` runs no tests and writes the page from the figures in ``benchmarks/results``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.report import machine
from scripts.promises import PROMISES

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reliability.md"
RESULTS = ROOT / "benchmarks" / "results"
REACHED = RESULTS / "reliability.json"
_LONG_RUNS = ("soak", "fuzz")
_HEAD = """# Reliability

The server's promises, and what its tests reached. This page is generated: `make reliability` runs the tests and writes
it, and a test compares page, figures and tests. The tests use real sockets and real processes. Counts are asserted;
times are only recorded: one machine measured them on one day, with other work running.

"""


def main() -> int:
    """Runs the tests, unless ``--render`` is given, and writes the page; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m scripts.reliability")
    parser.add_argument("--render", action="store_true", help="write the page from the existing figures")
    if not parser.parse_args().render:
        status = _measure()
        if status:
            return status
    PAGE.write_text(render(), encoding="utf-8")
    return 0


def render() -> str:
    """Returns the page as Markdown, from the figures of the last run."""
    reached = json.loads(REACHED.read_text(encoding="utf-8"))
    lines = [_HEAD + "| promise | target | reached | test |", "|---|---|---|---|"]
    for promise in PROMISES:
        for index, test in enumerate(promise.tests):
            file, _, function = test.partition("::")
            words, target = (promise.words, promise.target) if index == 0 else ("", "")
            link = f"[{function.removeprefix('test_').replace('_', ' ')}](../tests/{file})"
            lines.append(f"| {words} | {target} | {'; '.join(reached['figures'].get(test, []))} | {link} |")
    lines += ["", f"Reached on {_place(reached['machine'])}."]
    for name in _LONG_RUNS:
        lines += _long_run(name)
    return "\n".join(lines) + "\n"


def _long_run(name: str) -> list[str]:
    file = RESULTS / f"{name}.json"
    if not file.exists():
        return []
    report = json.loads(file.read_text(encoding="utf-8"))
    rows = [f"| `{figure}` | {_number(value)} |" for figure, value in report["figures"].items()]
    command = f"python -m benchmarks.{name} --json FILE"
    head = f"`make soak` runs it: `{command}`. On {_place(report['machine'])}:"
    return ["", f"## `{name}`, full length", "", head, "", "| figure | reached |", "|---|---|", *rows]


def _place(where: dict[str, Any]) -> str:
    return f"{where['core_count']} cores, {where['cpu']}, Python {where['python']}, {where['date']}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}"


def _measure() -> int:
    tests = sorted({f"tests/{test}" for promise in PROMISES for test in promise.tests})
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "figures"
        command = [sys.executable, "-m", "pytest", "-q", "--reliability", str(lines), *tests]
        status = subprocess.run(command, cwd=ROOT, check=False).returncode
        if status:
            return status
        figures: dict[str, list[str]] = {}
        for line in lines.read_text(encoding="utf-8").splitlines():
            test, figure = json.loads(line)
            if figure not in figures.setdefault(test, []):
                figures[test].append(figure)
    content = {"machine": machine(), "figures": dict(sorted(figures.items()))}
    REACHED.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
