"""Plans of one graph, one process after another. Knows processes and files; the compiling is ``build``'s affair."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import export
from engine.bundle.graph_spec import EngineSpec
from engine.runtime.process_memory import peak_resident_bytes
from export.errors import ExportError
from export.tensorrt.axes import AxisRange, graph_axes
from export.tensorrt.request import BuildAnswer, BuildRequest
from export.tensorrt.targets import Target, check_precision

_POLL_SECONDS = 0.1
_REPORT_EVERY_SECONDS = 15.0
_GB = 1e9


def compile_plans(
    graph_file: Path,
    targets: Sequence[Target],
    out_folder: Path,
    *,
    axes: Mapping[str, AxisRange] | None = None,
    module_name: str = "tensorrt_rtx",
    report: Callable[[str], None] = lambda _: None,
) -> tuple[EngineSpec, ...]:
    """Compiles an ONNX file for every compute capability among the targets, ahead of time and without a card.

    ``out_folder`` lies in the graph's folder or is that folder; an ``EngineSpec``'s file is a path from there. ``axes``
    gives the lengths of axes that the graph leaves open (default: ``graph_axes``). ``report`` is told what happens, a
    line at a time.

    Raises ``ExportError`` where a card lacks the graph's precision, where the compiler refuses, crashes or runs out of
    memory, and where the disk is full. A plan is there whole or not at all.
    """
    from export.tensorrt.facts import read_facts  # here, so that the process which compiles starts without it

    facts = read_facts(graph_file)
    for target in targets:
        for precision in sorted(facts.precisions):
            check_precision(precision, target, graph_file.name)
    if axes is None:
        axes = graph_axes(facts.input_names)
    out_folder.mkdir(parents=True, exist_ok=True)
    requests = [
        BuildRequest(
            graph_file=str(graph_file),
            plan_file=str(out_folder / f"{graph_file.stem}.{capability}.plan"),
            compute_capability=capability,
            module_name=module_name,
            axes={name: (item.lowest, item.tuned, item.highest) for name, item in axes.items()},
        )
        for capability in dict.fromkeys(target.compute_capability for target in targets)
    ]
    return tuple(_compile(request, report) for request in requests)


def _compile(request: BuildRequest, report: Callable[[str], None]) -> EngineSpec:
    plan = Path(request.plan_file)
    partial = plan.with_name(f"{plan.name}.partial")
    try:
        answer = _run(request.model_copy(update={"plan_file": str(partial)}), plan.name, report)
        partial.replace(plan)
    finally:
        partial.unlink(missing_ok=True)
    report(
        f"{plan.name}: {answer.build_seconds:.1f} s, {answer.host_peak_bytes / _GB:.2f} GB of host memory, "
        f"weights {answer.weight_bytes} bytes, activations {answer.activation_bytes} bytes"
    )
    return EngineSpec(
        file=plan.relative_to(Path(request.graph_file).parent).as_posix(),
        compute_capability=request.compute_capability,
        compiler=request.module_name,
        compiler_version=answer.compiler_version,
        activation_bytes=answer.activation_bytes,
        weight_bytes=answer.weight_bytes,
        plan_bytes=plan.stat().st_size,
        build_seconds=answer.build_seconds,
        host_peak_bytes=answer.host_peak_bytes,
    )


def _run(request: BuildRequest, plan_name: str, report: Callable[[str], None]) -> BuildAnswer:
    """Runs the build in a process of its own and returns its answer."""
    root = str(Path(next(iter(export.__path__))).parent)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))}
    with tempfile.TemporaryDirectory(prefix="stillcue-compile-") as scratch:
        request_file, answer_file, words_file = (Path(scratch) / name for name in ("request", "answer", "words"))
        request_file.write_text(request.model_dump_json(), encoding="utf-8")
        command = [sys.executable, "-m", "export.tensorrt.child", str(request_file), str(answer_file)]
        with words_file.open("wb") as words:
            process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=words, stderr=words)
        try:
            peak_bytes = _watch(process, plan_name, report)
        finally:
            process.kill()
            process.wait()
        if not answer_file.is_file():
            raise ExportError(_end_of(process.returncode, peak_bytes, plan_name, words_file))
        answer = BuildAnswer.model_validate_json(answer_file.read_bytes())
    if answer.error is not None:
        raise ExportError(answer.error)
    return answer


def _watch(process: subprocess.Popen[bytes], plan_name: str, report: Callable[[str], None]) -> int:
    """Waits for the end, says now and then how it goes, and returns the most memory seen, in bytes."""
    started = last = time.monotonic()
    peak_bytes = 0
    report(f"{plan_name}: compiling")
    while True:
        try:
            process.wait(_POLL_SECONDS)
        except subprocess.TimeoutExpired:
            peak_bytes = max(peak_bytes, peak_resident_bytes(process.pid))
            now = time.monotonic()
            if now - last >= _REPORT_EVERY_SECONDS:
                last = now
                report(f"{plan_name}: compiling for {now - started:.0f} s, {peak_bytes / _GB:.2f} GB of host memory")
        else:
            return peak_bytes


def _end_of(status: int, peak_bytes: int, plan_name: str, words_file: Path) -> str:
    """A sentence about a build that ended without an answer."""
    said = words_file.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    last_words = f": {said[-1]}" if said else ""
    if status == -signal.SIGKILL:
        return (
            f"{plan_name}: the compiler was killed at {peak_bytes / _GB:.2f} GB of host memory, most likely because "
            "this machine has no more; compile on one with more memory, or take a lower precision"
        )
    if status < 0:
        return f"{plan_name}: the compiler crashed with {signal.Signals(-status).name}{last_words}; nothing was written"
    return f"{plan_name}: the compiler ended with status {status}{last_words}; nothing was written"
