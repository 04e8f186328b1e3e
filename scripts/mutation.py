"""``python -m scripts.mutation``: runs mutmut on the modules that pyproject.toml names, and prints a table.

mutmut works on a copy in ``build/mutation``, and goes on there where it was interrupted. Arguments, such as
``'server.jobs.queue.*'``, choose mutants; ``--report`` only prints the results of the last run. docs/mutation.md
explains the results.
"""

from __future__ import annotations

import argparse
import ast
import fnmatch
import json
import subprocess
import sys
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COPY = ROOT / "build" / "mutation"
_COPIED = ("server", "engine", "tests", "clients", "pyproject.toml")
_SURVIVED, _UNTESTED = 0, 33  # exit codes of pytest under a mutant: every test passed, and no test ran
_REWRITTEN = {"property", "contextmanager"}


@dataclass(frozen=True, slots=True)
class ModuleResult:
    """Mutants of one module by outcome. ``survivors`` are the names of those that no test found."""

    file: str
    mutant_count: int
    pending_count: int
    survivors: tuple[str, ...]

    @property
    def row(self) -> str:
        """A line of the table."""
        found_count = self.mutant_count - self.pending_count - len(self.survivors)
        percentage = 100 * found_count / max(self.mutant_count, 1)
        name = f"`{self.file}`" if self.file.endswith(".py") else self.file
        return f"| {name} | {self.mutant_count} | {found_count} | {len(self.survivors)} | {percentage:.1f} % |"


def main() -> int:
    """Copies, mutates, tests and reports. Returns mutmut's status."""
    parser = argparse.ArgumentParser(prog="python -m scripts.mutation")
    parser.add_argument("--report", action="store_true", help="only print the results of the last run")
    parser.add_argument("mutants", nargs="*", help="names or patterns of mutants; none: all")
    options = parser.parse_args()
    status = 0
    if not options.report:
        _copy(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mutmut"]["only_mutate"])
        command = [sys.executable, "-m", "mutmut", "run", "--max-children", "1", *options.mutants]
        status = subprocess.run(command, cwd=COPY, check=False).returncode
    results = _results()
    print("\n".join([*_table(results), ""]))  # noqa: T201
    for survivor in (name for result in results for name in result.survivors):
        subprocess.run([sys.executable, "-m", "mutmut", "show", survivor], cwd=COPY, check=False)
    return status


def _copy(mutated: list[str]) -> None:
    """Brings the copy up to date; files that did not change keep their time, so that mutmut keeps their results."""
    for name in _COPIED:
        source = ROOT / name
        for path in [source] if source.is_file() else source.rglob("*"):
            if not path.is_file() or "__pycache__" in path.parts:
                continue
            relative = path.relative_to(ROOT)
            content = path.read_bytes()
            if any(fnmatch.fnmatch(str(relative), pattern) for pattern in mutated):
                content = undecorated(content.decode()).encode()
            target = COPY / relative
            if not target.is_file() or target.read_bytes() != content:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
    for name in _COPIED:
        for path in [path for path in (COPY / name).rglob("*.py") if not (ROOT / path.relative_to(COPY)).exists()]:
            path.unlink()
            (COPY / "mutants" / path.relative_to(COPY)).unlink(missing_ok=True)


def undecorated(code: str) -> str:
    """Properties and context managers as plain methods, since mutmut leaves decorated ones out.

    ``@property def cost(self)`` becomes ``def _property_cost(self)`` and ``cost = property(_property_cost)``.
    """
    lines = code.splitlines()
    classes = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ClassDef)]
    functions = [node for owner in classes for node in owner.body if isinstance(node, ast.FunctionDef)]
    for function in sorted(functions, key=lambda function: -function.lineno):
        names = [node.id for node in function.decorator_list if isinstance(node, ast.Name)]
        if len(names) != 1 or names[0] not in _REWRITTEN:
            continue
        (decorator,) = names
        method = f"_{decorator}_{function.name}"
        start = function.lineno - 1
        lines[start] = lines[start].replace(f"def {function.name}(", f"def {method}(", 1)
        lines.insert(
            function.end_lineno or start, f"{' ' * function.col_offset}{function.name} = {decorator}({method})"
        )
        del lines[start - 1]
    return "\n".join(lines) + "\n"


def _results() -> list[ModuleResult]:
    """The results of every module, by mutmut's files."""
    results = []
    for path in sorted((COPY / "mutants").rglob("*.meta")):
        codes: dict[str, int | None] = json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
        if not codes:
            continue
        survivors = tuple(name for name, code in codes.items() if code in {_SURVIVED, _UNTESTED})
        file = str(path.relative_to(COPY / "mutants").with_suffix(""))
        results.append(ModuleResult(file, len(codes), list(codes.values()).count(None), survivors))
    return results


def _table(results: list[ModuleResult]) -> list[str]:
    """A line for each module, then for each folder."""
    lines = ["| module | mutants | found | survivors | found of all |", "|---|---|---|---|---|"]
    lines += [result.row for result in results]
    counts: Counter[str] = Counter()
    pending: Counter[str] = Counter()
    survivors: dict[str, tuple[str, ...]] = {}
    for result in results:
        folder = str(Path(result.file).parent)
        counts[folder] += result.mutant_count
        pending[folder] += result.pending_count
        survivors[folder] = survivors.get(folder, ()) + result.survivors
    lines += [ModuleResult(f"**{name}**", counts[name], pending[name], survivors[name]).row for name in counts]
    return lines


if __name__ == "__main__":
    raise SystemExit(main())
