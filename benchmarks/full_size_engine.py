"""TensorRT plans of true size, compiled without a GPU: ``python -m benchmarks.full_size_engine --json FILE``.

Each case is a component of an official checkpoint, in one precision, compiled for one GPU: configuration from
``true_size``, random weights, quantised, traced and compiled by the exporter's own code. Each part of a case runs in a
process of its own, so that peak memory is measured for it alone. ``--graphs`` writes the entries that the manifest
would have, for ``full_size_memory``.

A whole transformer is compiled at two depths, because its activation memory must not grow with depth. ``--parts``
splits it into groups of blocks where the host cannot compile it as one; its figures are then sums or maxima over the
parts. Weights and plans are deleted after each part, so the disk holds those of one part.

The result of each part is saved at once in ``FILE`` with the suffix ``.parts.json``. A killed run resumes from it, and
a final run over all cases collects those that were run one by one.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.full_size_cases import CASES, Case
from benchmarks.processes import first_line, spawn
from benchmarks.report import Report

# Target of the ratio of activation memory at full depth to that at a fifth of it.
_MOST_GROWTH = 1.02


def main() -> None:
    """Compiles the chosen cases, prints the figures and writes them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.full_size_engine")
    parser.add_argument("--json", type=Path, required=True, help="file for the figures")
    parser.add_argument("--graphs", type=Path, help="file for the graphs' entries of a manifest")
    parser.add_argument("--case", action="append", choices=CASES, help="what to compile; may be given more than once")
    parser.add_argument(
        "--layers", type=int, nargs="+", help="depths of a transformer (default: all blocks; if not split, a fifth too)"
    )
    parser.add_argument("--parts", type=int, help="split transformers into so many plans")
    parser.add_argument("--batch", type=int, choices=(1, 2), help="largest batch of one transformer call")
    parser.add_argument("--size", help="WIDTHxHEIGHT in pixels instead of the case's")
    parser.add_argument("--frames", type=int, help="frame count instead of the case's")
    parser.add_argument("--folder", type=Path, help="folder for temporary weights and plans")
    options = parser.parse_args()
    answers = Answers(options.json.with_suffix(".parts.json"))
    figures: dict[str, float] = {}
    targets: dict[str, float] = {}
    graphs: list[dict[str, Any]] = []
    for name in options.case or CASES:
        case = _changed(CASES[name], options)
        by_depth: dict[int, float] = {}
        for depth in _depths(case, options.layers):
            measured, graphs_of_case = _measure(replace(case, layer_count=depth), options.folder, answers)
            figures |= measured
            by_depth[depth] = measured[f"{replace(case, layer_count=depth).prefix}_activation_bytes"]
        graphs += graphs_of_case  # those of the greatest depth, measured last
        if len(by_depth) > 1:
            growth = f"{case.prefix.partition(f'_{case.layer_count}_layers')[0]}_activation_growth_ratio"
            figures[growth] = by_depth[max(by_depth)] / by_depth[min(by_depth)]
            targets[growth] = _MOST_GROWTH
    report = Report("full_size_engine", figures, targets)
    report.show()
    report.write(options.json)
    if options.graphs is not None:
        options.graphs.parent.mkdir(parents=True, exist_ok=True)
        options.graphs.write_text(json.dumps(graphs, indent=1) + "\n", encoding="utf-8")


class Answers:
    """The results of finished parts, saved to a file after each of them."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._kept: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}

    def of(self, case: Case, part: int, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Returns the saved result of a part; runs ``work`` and saves its result if there is none."""
        key = json.dumps([asdict(case), part])
        if key not in self._kept:
            self._kept[key] = work()
            written = self._file.with_name(f"{self._file.name}.partial")
            written.parent.mkdir(parents=True, exist_ok=True)
            written.write_text(json.dumps(self._kept, indent=1) + "\n", encoding="utf-8")
            written.replace(self._file)
        answer: dict[str, Any] = self._kept[key]
        return answer


def _changed(case: Case, options: argparse.Namespace) -> Case:
    changes: dict[str, int] = {}
    if options.size:
        width, _, height = options.size.partition("x")
        changes |= {"width_px": int(width), "height_px": int(height)}
    if options.frames:
        changes["frame_count"] = options.frames
    if options.parts and case.component == "transformer":
        changes["part_count"] = options.parts
    if options.batch and case.component == "transformer":
        changes["batch_count"] = options.batch
    return replace(case, **changes)  # type: ignore[arg-type]


def _depths(case: Case, wanted: list[int] | None) -> list[int]:
    """Returns the depths to compile: one for a split transformer, whose parts do not depend on the total depth."""
    if case.component != "transformer" or (case.part_count > 1 and not wanted):
        return [case.layer_count]
    return sorted(wanted or {case.layer_count // 5, case.layer_count})


def _measure(case: Case, folder: Path | None, kept: Answers) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """Returns the figures of a case, and its graphs as a manifest would list them."""

    def in_a_process(part: int) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(dir=folder) as name:
            _say(f"{case.prefix}, part {part + 1} of {case.part_count}")
            process = spawn("benchmarks.full_size_engine", "--worker", json.dumps(asdict(case)), str(part), name)
            answer: dict[str, Any] = json.loads(first_line(process))
            process.communicate()
        return answer

    answers = [kept.of(case, part, partial(in_a_process, part)) for part in range(case.part_count)]
    graphs = [graph for answer in answers for graph in answer["graphs"]]
    engines = [engine for graph in graphs for engine in graph["engines"]]
    sums = {
        "weights_seconds": sum(answer["weights_seconds"] for answer in answers),
        "graph_seconds": sum(answer["graph_seconds"] for answer in answers),
        "graph_bytes": sum(answer["graph_bytes"] for answer in answers),
        "cpu_seconds": sum(answer["cpu_seconds"] for answer in answers),
        "export_peak_bytes": max(answer["export_peak_bytes"] for answer in answers),
        "build_seconds": sum(engine["build_seconds"] for engine in engines),
        "build_host_peak_bytes": max(engine["host_peak_bytes"] for engine in engines),
        "plan_bytes": sum(engine["plan_bytes"] for engine in engines),
        "weight_bytes": sum(engine["weight_bytes"] for engine in engines),
        "activation_bytes": max(engine["activation_bytes"] for engine in engines),
        "crossing_bytes": max(answer["crossing_bytes"] for answer in answers),
        "part_count": case.part_count,
    }
    if case.part_count > 1:
        graphs = [_joined(graphs, case, int(sums["crossing_bytes"]))]
    return {f"{case.prefix}_{key}": value for key, value in sums.items()}, graphs


def _joined(parts: list[dict[str, Any]], case: Case, crossing_bytes: int) -> dict[str, Any]:
    """Merges the parts' entries into one: sums of weights, the largest scratch plus the tensors between parts."""
    engines = [part["engines"][0] for part in parts]
    engine = engines[0] | {
        "file": f"{case.prefix}.plan",
        "activation_bytes": max(item["activation_bytes"] for item in engines) + crossing_bytes,
        **{key: sum(item[key] for item in engines) for key in ("weight_bytes", "plan_bytes", "build_seconds")},
        "host_peak_bytes": max(item["host_peak_bytes"] for item in engines),
    }
    crossing = {item["name"] for part in parts for item in part["outputs"]} - {"prediction"}
    inputs = {item["name"]: item for part in parts for item in part["inputs"] if item["name"] not in crossing}
    return parts[-1] | {"inputs": list(inputs.values()), "engines": [engine]}


def compile_part(case: Case, part: int, folder: Path) -> dict[str, Any]:
    """Exports and compiles one part in this process (the compiler runs in a child process); returns its figures."""
    from benchmarks.full_size_export import export_part
    from engine.runtime.process_memory import peak_resident_bytes

    answer = export_part(case, part, folder, _say)
    return {**answer, "export_peak_bytes": peak_resident_bytes(), "cpu_seconds": _cpu_seconds()}


def _cpu_seconds() -> float:
    """Returns the CPU time of this process and its finished children, which does not depend on the machine's load."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        case_text, part_text, folder_text = sys.argv[2:]
        print(json.dumps(compile_part(Case(**json.loads(case_text)), int(part_text), Path(folder_text))))
    else:
        main()
