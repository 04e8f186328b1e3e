"""``python -m export`` of a true-size A14B: ``python -m benchmarks.true_size_export --folder F --json FILE``.

The checkpoint has the official configurations. Its experts are single files of 8-bit floats with a scale for each
weight, as ComfyUI has them; every byte of their blocks is random, because the compiler merges equal constants. Both
experts are one file by two names. Text encoder and VAE are sparse zeros. Ranges of inputs, which calibration would
measure, are set to one number: no size depends on them.

The export runs in a process of its own, through the command line's ``main``. ``host_peak_bytes`` is the largest sum of
the resident memory of that process and of the compiler's, read every fifth of a second; ``host_anonymous_peak_bytes``
leaves out pages of mapped files, which the system can drop. A killed run resumes, as an export does.

The bundle is of plans alone (``--plans-only``). ``--give-back`` is for disks that do not hold it beside the checkpoint:
each plan is replaced by a sparse file of its size once it is written, and the exporter is told that the disk is large.
The bundle is then of no use. ``--zeros`` takes sparse zeros for the experts too: no disk space and little time.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.processes import ROOT
from benchmarks.report import Report

_TARGETS = {"host_peak_bytes": 22e9}
_POLL_SECONDS = 0.2
_PARTS = ("block_groups", "exporter", "option_checks", "resource_estimate")
_EXPERTS = {"transformer": "high", "transformer_2": "low"}


def main() -> None:
    """Writes the checkpoint unless it is there, exports it, prints the figures and writes them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.true_size_export")
    parser.add_argument("--folder", type=Path, required=True, help="folder for checkpoint and bundle")
    parser.add_argument("--json", type=Path, required=True, help="file for the figures")
    parser.add_argument("--layers", type=int, default=40, help="blocks of each expert")
    parser.add_argument("--groups", type=int, help="groups of blocks (default: the exporter's choice)")
    parser.add_argument("--memory-bytes", type=float, help="memory that the exporter takes as available")
    parser.add_argument("--zeros", action="store_true", help="experts of zeros")
    parser.add_argument("--give-back", action="store_true", help="empty plans once they are written")
    options = parser.parse_args()
    from benchmarks.true_size_checkpoint import write_checkpoint

    write_checkpoint(options.folder / "checkpoint", options.layers, is_random=not options.zeros)
    request = {key: value for key, value in vars(options).items() if key not in {"folder", "json"}}
    started = time.monotonic()
    command = [
        sys.executable,
        "-m",
        "benchmarks.true_size_export",
        "--worker",
        str(options.folder),
        json.dumps(request),
    ]
    process = subprocess.Popen(command, cwd=ROOT)
    peak, anonymous_peak = _watch(process)
    if process.returncode:
        raise SystemExit(f"the export ended with status {process.returncode}; run the same command again to resume")
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    figures = {
        "seconds": time.monotonic() - started,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "host_peak_bytes": peak,
        "host_anonymous_peak_bytes": anonymous_peak,
        "layers": options.layers,
        **_of_bundle(options.folder / "bundle"),
    }
    report = Report("true_size_export", figures, _TARGETS)
    report.show()
    report.write(options.json)


def _watch(process: subprocess.Popen[bytes]) -> tuple[int, int]:
    """Returns the largest resident memory of a process with its children, whole and without mapped files."""
    peak = anonymous_peak = 0
    while process.poll() is None:
        whole, anonymous = memory_of_family(process.pid)
        peak, anonymous_peak = max(peak, whole), max(anonymous_peak, anonymous)
        time.sleep(_POLL_SECONDS)
    return peak, anonymous_peak


def memory_of_family(number: int) -> tuple[int, int]:
    """Returns the resident memory of a process with its children, whole and without mapped files."""
    found = [_memory(each) for each in _family(number)]
    return sum(whole for whole, _ in found), sum(anonymous for _, anonymous in found)


def _family(number: int) -> list[int]:
    try:
        children = Path(f"/proc/{number}/task/{number}/children").read_text(encoding="ascii").split()
    except OSError:
        children = []
    return [number, *(each for child in children for each in _family(int(child)))]


def _memory(number: int) -> tuple[int, int]:
    try:
        lines = Path(f"/proc/{number}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0, 0
    found = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.startswith(("VmRSS", "RssAnon"))}
    return found.get("VmRSS", 0), found.get("RssAnon", 0)


def _of_bundle(folder: Path) -> dict[str, float]:
    from engine.bundle.folder import parse_manifest

    manifest = parse_manifest(folder)
    (expert,) = [graph for graph in manifest.graphs if graph.stage == "transformer_high"]
    (engine,) = expert.engines
    engines = [item for graph in manifest.graphs for item in graph.engines]
    return {
        "group_count": len(engine.files),
        "compiler_peak_bytes": max(item.host_peak_bytes for item in engines),
        "expert_compiler_peak_bytes": engine.host_peak_bytes,
        "expert_build_seconds": engine.build_seconds,
        "expert_plan_bytes": engine.plan_bytes,
        "expert_weight_bytes": engine.weight_bytes,
        "expert_activation_bytes": engine.activation_bytes,
        "bundle_bytes": sum(file.byte_count for file in manifest.files.values()),
    }


def work(folder: Path, request: dict[str, Any]) -> int:
    """Exports the checkpoint in this process. Returns the exit status."""
    from benchmarks.true_size_checkpoint import write_ranges
    from export.__main__ import main as export

    checkpoint, bundle = folder / "checkpoint", folder / "bundle"
    files = [f"--transformer-{name}={checkpoint / name / 'expert.safetensors'}" for name in _EXPERTS.values()]
    files += [f"--{name.replace('_', '-')}={checkpoint / name}" for name in ("text_encoder", "vae", "tokenizer")]
    write_ranges(folder / "ranges", files)
    parts = {name: import_module(f"export.bundle.{name}") for name in _PARTS}
    if request["memory_bytes"]:
        _replace(parts, "available_memory_bytes", lambda: int(request["memory_bytes"]))
    if request["give_back"]:
        from benchmarks.sparing_log import SparingLog

        _replace(parts, "free_disk_bytes", lambda _: 10**15)
        _replace(parts, "BuildLog", SparingLog)
    groups = [f"--groups={request['groups']}"] if request["groups"] else []
    return export(
        [
            *files,
            f"--out={bundle}",
            "--size=832x480",
            "--frames=81",
            "--gpu=rtx4090",
            "--precision=fp8",
            "--plans-only",
            f"--calibration={folder / 'ranges'}",
            *groups,
        ]
    )


def _replace(parts: Mapping[str, Any], name: str, value: object) -> None:
    for part in parts.values():
        if hasattr(part, name):
            setattr(part, name, value)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        sys.exit(work(Path(sys.argv[2]), json.loads(sys.argv[3])))
    main()
