"""TensorRT plans of true size, compiled without a GPU: ``python -m benchmarks.full_size_engine --json FILE``.

Each case is a component of an official checkpoint, in one precision, compiled for one GPU: configuration from
``true_size``, random weights, quantised, traced and compiled by the exporter's own code. Each build runs in a process
of its own, so that peak memory is measured for it alone. ``--graphs`` writes the entries that the manifest would have,
for ``full_size_memory``; entries of the file that this run does not compile stay.

A transformer is compiled at full width with few blocks, and the whole one's bytes follow by ``full_size_depths``.
``--layers 40`` compiles it whole, where the host has the memory. ``--parts`` splits it into groups of blocks; its
figures are then sums or maxima over the parts. Weights and plans are deleted after each build, so the disk holds those
of one.

The result of each build is saved at once in ``FILE`` with the suffix ``.parts.json``. A killed run resumes from it, and
a final run over all cases collects those that were run one by one.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.full_size_cases import CASES, Case
from benchmarks.full_size_depths import GROWING, block_bytes, deepened
from benchmarks.processes import first_line, spawn
from benchmarks.report import Report
from engine.bundle.crossing import crossing_bytes, place_crossings
from engine.bundle.graph_spec import EngineSpec, GraphSpec

_PROMPT_ROW_COUNT = 512


def main() -> None:
    """Compiles the chosen cases, prints the figures and writes them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.full_size_engine")
    parser.add_argument("--json", type=Path, required=True, help="file for the figures")
    parser.add_argument("--graphs", type=Path, help="file for the graphs' entries of a manifest")
    parser.add_argument("--case", action="append", choices=CASES, help="what to compile; may be given more than once")
    parser.add_argument("--layers", type=int, nargs="+", help="depths of a transformer instead of the case's")
    parser.add_argument("--parts", type=int, help="split transformers into so many plans")
    parser.add_argument("--batch", type=int, choices=(1, 2), help="largest batch of one transformer call")
    parser.add_argument("--size", help="WIDTHxHEIGHT in pixels instead of the case's")
    parser.add_argument("--frames", type=int, help="frame count instead of the case's")
    parser.add_argument("--folder", type=Path, help="folder for temporary weights and plans")
    parser.add_argument("--kept-weights", type=Path, help="folder in which quantised weights stay for other sizes")
    options = parser.parse_args()
    answers = Answers(options.json.with_suffix(".parts.json"))
    figures: dict[str, float] = {}
    graphs: list[dict[str, Any]] = []
    added: dict[str, dict[str, float]] = {}
    for name in options.case or CASES:
        case = _changed(CASES[name], options)
        by_depth: dict[int, list[dict[str, Any]]] = {}
        for depth in sorted(case.depths):
            measured, by_depth[depth] = _measure(case, depth, options, answers)
            figures |= measured
        if case.component != "transformer":
            graphs += by_depth[max(by_depth)]
            continue
        engines = {depth: entries[0]["engines"][0] for depth, entries in by_depth.items()}
        if len(engines) > 1:
            added[name] = block_bytes(engines)
        whole = _whole(case, by_depth, added.get(name) or added.get(case.like or ""))
        graphs.append(whole)
        engine = whole["engines"][0]
        figures |= {f"{case.prefix}_{key}": engine[key] for key in GROWING}
    report = Report("full_size_engine", figures, {})
    report.show()
    report.write(options.json)
    if options.graphs is not None:
        _write_graphs(graphs, options.graphs)


def _whole(
    case: Case, by_depth: Mapping[int, Sequence[dict[str, Any]]], added: Mapping[str, float] | None
) -> dict[str, Any]:
    """The entry of the whole transformer, from that of the deepest one that was compiled."""
    depth = max(by_depth)
    (graph,) = by_depth[depth]
    if depth == case.full_depth:
        return graph
    if added is None:
        raise SystemExit(f"--case {case.like}: is needed too, before this case, for what each block adds")
    return graph | {"engines": [deepened(graph["engines"][0], case.full_depth - depth, added)]}


def _write_graphs(graphs: Sequence[dict[str, Any]], file: Path) -> None:
    """Writes the entries, and those of the file that none of them replaces."""
    kept = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []
    known = {_identity(graph) for graph in graphs}
    graphs = [*graphs, *(graph for graph in kept if _identity(graph) not in known)]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(sorted(graphs, key=_identity), indent=1) + "\n", encoding="utf-8")


def _identity(graph: Mapping[str, Any]) -> tuple[str, ...]:
    """The key of an entry: stage, size, length, precision, plan."""
    engine = graph["engines"][0]
    names = ("stage", "width_px", "height_px", "frame_count", "precision")
    return (*(str(graph.get(name)) for name in names), engine["compute_capability"], Path(engine["file"]).name)


class Answers:
    """The results of finished parts, saved to a file after each of them."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._kept: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}

    def of(self, key: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Returns the saved result of a build; runs ``work`` and saves its result if there is none."""
        if key not in self._kept:
            self._kept[key] = work()
            written = self._file.with_name(f"{self._file.name}.partial")
            written.parent.mkdir(parents=True, exist_ok=True)
            written.write_text(json.dumps(self._kept, indent=1) + "\n", encoding="utf-8")
            written.replace(self._file)
        answer: dict[str, Any] = self._kept[key]
        return answer


def _changed(case: Case, options: argparse.Namespace) -> Case:
    changes: dict[str, Any] = {}
    if options.size:
        width, _, height = options.size.partition("x")
        changes |= {"width_px": int(width), "height_px": int(height)}
    if options.frames:
        changes["frame_count"] = options.frames
    if options.parts and case.component == "transformer":
        changes["part_count"] = options.parts
    if options.batch and case.component == "transformer":
        changes["batch_count"] = options.batch
    if options.layers and case.component == "transformer":
        changes["depths"] = tuple(options.layers)
    return replace(case, **changes)


def _measure(
    case: Case, depth: int, options: argparse.Namespace, kept: Answers
) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """Returns the figures of a case at a depth, and its graphs as a manifest would list them."""
    prefix = f"{case.prefix}_{depth}_layers" if case.component == "transformer" else case.prefix

    def in_a_process(part: int) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(dir=options.folder) as name:
            _say(f"{prefix}, part {part + 1} of {case.part_count}")
            worker = ["--worker", json.dumps(asdict(case)), str(depth), str(part), name]
            process = spawn("benchmarks.full_size_engine", *worker, str(options.kept_weights or ""))
            answer: dict[str, Any] = json.loads(first_line(process))
            process.communicate()
        return answer

    answers = [kept.of(f"{prefix}, part {part}", partial(in_a_process, part)) for part in range(case.part_count)]
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
        "crossing_bytes": 0,
        "part_count": case.part_count,
    }
    if case.part_count > 1:
        graphs = [_joined(graphs, case)]
        sums["crossing_bytes"] = _crossing_bytes(graphs[0], case)
    return {f"{prefix}_{key}": value for key, value in sums.items()}, graphs


def _joined(parts: list[dict[str, Any]], case: Case) -> dict[str, Any]:
    """Merges the parts' entries into one, as the exporter does for groups of blocks."""
    from export.bundle.group_plans import joined_engine

    engines = [(EngineSpec.from_dict(part["engines"][0]), part["inputs"], part["outputs"]) for part in parts]
    engine = joined_engine(engines).with_changes(file=f"{case.prefix}.plan")
    crossing = {item["name"] for part in parts for item in part["outputs"]} - {"prediction"}
    inputs = {item["name"]: item for part in parts for item in part["inputs"] if item["name"] not in crossing}
    return parts[-1] | {"inputs": list(inputs.values()), "engines": [engine.as_dict()]}


def _crossing_bytes(graph: dict[str, Any], case: Case) -> int:
    """Returns the bytes of the tensors that cross between the parts of a graph's engine, at the longest prompt."""
    (engine,) = GraphSpec.from_dict(graph).engines
    return crossing_bytes(place_crossings(engine.parts, {"batch": case.batch_count, "rows": _PROMPT_ROW_COUNT}))


def compile_part(case: Case, depth: int, part: int, folder: Path, kept_weights: Path | None) -> dict[str, Any]:
    """Exports and compiles one part in this process (the compiler runs in a child process); returns its figures."""
    from benchmarks.full_size_export import export_part
    from engine.runtime.process_memory import peak_resident_bytes

    answer = export_part(case, depth, part, folder, _say, kept_weights=kept_weights)
    return {**answer, "export_peak_bytes": peak_resident_bytes(), "cpu_seconds": _cpu_seconds()}


def _cpu_seconds() -> float:
    """Returns the CPU time of this process and its finished children, which does not depend on the machine's load."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        case_text, depth_text, part_text, folder_text, kept_text = sys.argv[2:]
        chosen = Case(**json.loads(case_text))
        kept_folder = Path(kept_text) if kept_text else None
        print(json.dumps(compile_part(chosen, int(depth_text), int(part_text), Path(folder_text), kept_folder)))
    else:
        main()
