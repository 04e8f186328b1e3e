"""``python -m scripts.mutation``: runs mutmut on the modules that pyproject.toml names, and reports the survivors.

mutmut works on a copy in ``build/mutation``, and goes on there where it was interrupted. Arguments, such as
``'server.jobs.queue.*'``, choose mutants. A run of all mutants writes ``benchmarks/results/mutation.json``, whose table
and survivors docs/mutation.md explains.
"""

from __future__ import annotations

import argparse
import ast
import fnmatch
import json
import subprocess
import sys
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "mutation.json"
COPY = ROOT / "build" / "mutation"
_COPIED = ("server", "engine", "tests", "clients", "pyproject.toml")
_SURVIVED, _UNTESTED = 0, 33  # exit codes of a mutant: every test passed, and no test runs its code
_REWRITTEN = {"property", "contextmanager"}


@dataclass(frozen=True, slots=True)
class Survivor:
    """A mutant that no test found: the function, its lines in the code and in the mutant."""

    function: str
    original: str
    mutated: str


@dataclass(frozen=True, slots=True)
class ModuleResult:
    """Mutants of one module by outcome; ``pending_count`` were not run yet."""

    file: str
    mutant_count: int
    pending_count: int
    survivors: tuple[Survivor, ...]


def main() -> int:
    """Copies, mutates, tests and reports. Returns mutmut's status."""
    parser = argparse.ArgumentParser(prog="python -m scripts.mutation")
    parser.add_argument("mutants", nargs="*", help="names or patterns of mutants; none: all")
    patterns = parser.parse_args().mutants
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mutmut"]
    _copy(configuration["only_mutate"])
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", "1", *patterns]
    status = subprocess.run(command, cwd=COPY, check=False).returncode
    modules = [asdict(result) for result in _results()]
    print("\n".join(table(modules)))  # noqa: T201
    for module in modules:
        for survivor in module["survivors"]:
            print(f"{module['file']} {survivor['function']}\n- {survivor['original']}\n+ {survivor['mutated']}")  # noqa: T201
    if not patterns and status == 0:
        RESULTS.write_text(json.dumps(modules, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return status


def table(modules: list[dict[str, Any]]) -> list[str]:
    """The results as a Markdown table: a line for each module and each folder."""
    folders = {str(Path(module["file"]).parent): (0, 0, 0) for module in modules}
    lines = ["| module | mutants | found | survivors | found of all |", "|---|---|---|---|---|"]
    for module in modules:
        counts = (module["mutant_count"], module["pending_count"], len(module["survivors"]))
        folder = str(Path(module["file"]).parent)
        before = folders[folder]
        folders[folder] = (before[0] + counts[0], before[1] + counts[1], before[2] + counts[2])
        lines.append(_row(f"`{module['file']}`", *counts))
    return [*lines, *(_row(f"**{name}**", *counts) for name, counts in folders.items())]


def _row(name: str, mutant_count: int, pending_count: int, survivor_count: int) -> str:
    found_count = mutant_count - pending_count - survivor_count
    return f"| {name} | {mutant_count} | {found_count} | {survivor_count} | {100 * found_count / mutant_count:.1f} % |"


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
            mutants = COPY / "mutants" / path.relative_to(COPY)
            for suffix in (".py", ".py.meta", ".py.spans"):
                mutants.with_suffix(suffix).unlink(missing_ok=True)
    # mutmut finds out again which tests run which function: tests and functions may be new.
    (COPY / "mutants" / "mutmut-stats.json").unlink(missing_ok=True)


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
    """The results of every module with mutants, by mutmut's files."""
    results = []
    for path in sorted((COPY / "mutants").rglob("*.meta")):
        codes: dict[str, int | None] = json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
        if codes:
            survivors = tuple(_survivor(name) for name, code in codes.items() if code in {_SURVIVED, _UNTESTED})
            file = str(path.relative_to(COPY / "mutants").with_suffix(""))
            results.append(ModuleResult(file, len(codes), list(codes.values()).count(None), survivors))
    return results


def _survivor(name: str) -> Survivor:
    command = [sys.executable, "-m", "mutmut", "show", name]
    shown = subprocess.run(command, cwd=COPY, check=True, capture_output=True, text=True).stdout.splitlines()
    lines = {sign: [line[1:].strip() for line in shown if line[:1] == sign != line[1:2]] for sign in "-+"}
    function = name.rpartition(".")[2].rpartition("__mutmut_")[0].removeprefix("x_").removeprefix("x\u01c1")
    for decorator in _REWRITTEN:
        function = function.replace(f"_{decorator}_", "")
    return Survivor(function.replace("\u01c1", "."), " ".join(lines["-"]), " ".join(lines["+"]))


if __name__ == "__main__":
    raise SystemExit(main())
