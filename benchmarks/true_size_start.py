"""Time until a bundle of true size begins to load, or is refused: ``python -m benchmarks.true_size_start``.

    python -m benchmarks.true_size_start --json FILE [--case a14b_int4] [--case 5b_int8] [--folder SCRATCH]

The manifest has the entries of ``full_size_graphs.json``; every file has its true size and holds zeros, which take no
disk where files may be sparse. A component's weights are counted as the weights of its TensorRT engines. The folder is
removed at the end.

Each start is a process of its own, imports included. ``first_start_*``: nothing is known of the files, so all are read;
until digests were remembered, every start took this long. ``second_start_*``: the same again. Both end where the first
graph would be loaded; ``*_read_bytes`` is what they read for digests. ``refused_*``: the whole command
``python -m server`` on a machine without a GPU, until it ends. ``*_cpu_seconds`` is processor time of the process and
its children. ``plans_only_ratio``: bytes that ``export.strip`` keeps.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from benchmarks.processes import ROOT
from benchmarks.report import Report
from engine.bundle.folder import MANIFEST_NAME
from engine.bundle.graph_spec import GraphSpec
from engine.bundle.manifest import FileSpec, Manifest
from export.strip import strip

_CASES = {
    "a14b_int4": ("Wan2.2-I2V-A14B in INT4", "sm_86"),
    "5b_int8": ("Wan2.2-TI2V-5B in INT8", "sm_89"),
}
_TARGETS = {"second_start_seconds": 2.0, "refused_seconds": 2.0, "plans_only_ratio": 0.55}
_GRAPH_BYTES = 18_000_000  # docs/benchmarks.md, export_scale: the largest
_TOKENIZER = ("tokenizer.json", 17_000_000)
_CHUNK = bytes(2**24)


def main() -> None:
    """Measures the cases, prints the figures and writes them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.true_size_start")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--case", choices=_CASES, action="append", help="these cases (default: all)")
    parser.add_argument("--folder", type=Path, help="folder for the bundle (default: the system's)")
    parser.add_argument("--worker", nargs=3, metavar=("BUNDLE", "CAPABILITY", "CACHE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker is not None:
        _reach_loading(*options.worker)
        return
    from benchmarks.full_size_memory import GRAPHS, manifests, read_graphs  # imports torch, which no start may wait for

    found = {f"{manifest.name}, {capability}": manifest for manifest, capability in manifests(read_graphs(GRAPHS))}
    figures: dict[str, float] = {}
    for case in options.case or _CASES:
        with tempfile.TemporaryDirectory(prefix="stillcue-start-", dir=options.folder) as scratch:
            measured = _measure(found[", ".join(_CASES[case])], _CASES[case][1], Path(scratch))
        figures |= {f"{case}_{name}": value for name, value in measured.items()}
    targets = {f"{case}_{name}": target for case in _CASES for name, target in _TARGETS.items()}
    report = Report("true_size_start", figures, targets)
    report.show()
    if options.json is not None:
        report.write(options.json)


def _measure(manifest: Manifest, capability: str, scratch: Path) -> dict[str, float]:
    bundle, plans, cache = scratch / "bundle", scratch / "plans", scratch / "cache"
    figures: dict[str, float] = {"bundle_bytes": _write_bundle(manifest, bundle)}
    worker = [sys.executable, "-m", "benchmarks.true_size_start", "--worker", str(bundle), capability, str(cache)]
    for name in ("first_start", "second_start"):
        said = _timed(name, worker, 0, cache, figures)
        figures[f"{name}_read_bytes"] = int(said.rpartition(": ")[2].partition(" bytes read")[0])
    server = [sys.executable, "-m", "server", "--bundle", str(bundle)]
    server += ["--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--log-level", "error"]
    _timed("refused", server, 2, cache, figures)
    started = time.perf_counter()
    before, after = strip(bundle, plans)
    return figures | {"strip_seconds": time.perf_counter() - started, "plans_only_ratio": after / before}


def _timed(name: str, command: list[str], status: int, cache: Path, figures: dict[str, float]) -> str:
    """Adds seconds and processor seconds of a process, which must end with ``status``. Returns its last words."""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "XDG_CACHE_HOME": str(cache)}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    process = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    said = process.stderr.strip()
    if process.returncode != status:
        raise SystemExit(f"{name}: ended with {process.returncode}, not {status}: {said}")
    figures[f"{name}_seconds"] = seconds
    figures[f"{name}_cpu_seconds"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    last = said.splitlines()[-1]
    print(f"{name}: {seconds:.2f} s: {last}", flush=True)
    return last


def _reach_loading(bundle: str, capability: str, cache: str) -> None:
    """Opens a bundle as a server does, up to the point where a graph is loaded."""
    from engine.generate.loading import load_bundle
    from engine.memory.plan import default_budget_bytes

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    runtime: Any = _NoRuntime()
    try:
        load_bundle(Path(bundle), runtime, default_budget_bytes(capability), capability, cache_folder=Path(cache))
    except _LoadingBegins:
        return
    raise SystemExit("no graph was loaded")


class _LoadingBegins(Exception):
    """All checks before loading are done."""


class _NoRuntime:
    """A runtime that loads nothing."""

    def load(self, *_: object) -> NoReturn:
        raise _LoadingBegins

    def trim(self) -> None:
        """Nothing is to be freed."""


def _write_bundle(manifest: Manifest, folder: Path) -> int:
    """Writes a bundle with sparse files. Returns its bytes."""
    manifest = manifest.with_changes(tokenizer=manifest.tokenizer.with_changes(file=_TOKENIZER[0]))
    sizes = dict([_TOKENIZER, *_files_of(manifest.graphs)])
    digests = _digests_of_zeros(set(sizes.values()))
    for name, byte_count in sizes.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.truncate(path, byte_count)
        if path.stat().st_blocks:
            shutil.rmtree(folder)
            raise SystemExit(f"{folder}: this file system knows no sparse files; give another --folder")
    files = {name: FileSpec(sha256=digests[size], byte_count=size) for name, size in sizes.items()}
    (folder / MANIFEST_NAME).write_text(manifest.with_changes(files=files).to_json())
    return sum(sizes.values())


def _files_of(graphs: Iterable[GraphSpec]) -> Iterable[tuple[str, int]]:
    """Names and sizes of graphs, plans and weights; the graphs of an encoder or a decoder share their weights."""
    weights: dict[str, int] = {}
    for graph in graphs:
        yield graph.file, _GRAPH_BYTES
        for engine in graph.engines:
            yield engine.file, engine.plan_bytes
            part = graph.stage.removesuffix("_init").removesuffix("_step")
            weights[part] = max(weights.get(part, 0), engine.weight_bytes)
    yield from ((f"weights/{part}.safetensors", byte_count) for part, byte_count in weights.items())


def _digests_of_zeros(sizes: set[int]) -> Mapping[int, str]:
    """SHA-256 of zeros by their number, in one pass over the largest."""
    digest, count, found = hashlib.sha256(), 0, {}
    for size in sorted(sizes):
        while count < size:
            step = min(len(_CHUNK), size - count)
            digest.update(memoryview(_CHUNK)[:step])
            count += step
        found[size] = digest.hexdigest()
    return found


if __name__ == "__main__":
    main()
