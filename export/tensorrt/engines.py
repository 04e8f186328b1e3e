"""Compiles a graph to engines, one process after another, and watches each process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from engine.bundle.graph_spec import EngineSpec
from engine.runtime.process_memory import peak_resident_bytes
from export.atomic_file import replacing
from export.errors import ExportError
from export.tensorrt.axes import AxisRange, graph_axes
from export.tensorrt.request import BuildAnswer, BuildRequest
from export.tensorrt.targets import Target, check_precision

_POLL_SECONDS = 0.1
_REPORT_EVERY_SECONDS = 15.0
_GB = 1e9


def compile_engines(
    graph_file: Path,
    targets: Sequence[Target],
    out_folder: Path,
    *,
    axes: Mapping[str, AxisRange] | None = None,
    module_name: str = "tensorrt_rtx",
    report: Callable[[str], None] = lambda _: None,
) -> tuple[EngineSpec, ...]:
    """Compiles an ONNX file for every compute capability among the targets.

    ``out_folder`` lies in the graph's folder or is that folder; an ``EngineSpec``'s file is a path from there. ``axes``
    gives the lengths of axes that the graph leaves open (default: ``graph_axes``). ``report`` receives
    progress, a line at a time.

    Raises ``ExportError`` if a target lacks the graph's precision, if the compiler refuses, crashes or runs out of
    memory, and if the disk is full. An engine is written whole or not at all.
    """
    from export.tensorrt.graph_header import read_graph_header

    header = read_graph_header(graph_file)
    for target in targets:
        for precision in sorted(header.precisions):
            check_precision(precision, target, graph_file.name)
    if axes is None:
        axes = graph_axes(header.input_names)
    out_folder.mkdir(parents=True, exist_ok=True)
    requests = [
        BuildRequest(
            graph_file=str(graph_file),
            engine_file=str(out_folder / f"{graph_file.stem}.{capability}.plan"),
            compute_capability=capability,
            module_name=module_name,
            axes={name: (item.lowest, item.tuned, item.highest) for name, item in axes.items()},
        )
        for capability in dict.fromkeys(target.compute_capability for target in targets)
    ]
    return tuple(_compile(request, report) for request in requests)


def _compile(request: BuildRequest, report: Callable[[str], None]) -> EngineSpec:
    engine = Path(request.engine_file)
    with replacing(engine) as partial:
        answer = _run(request.model_copy(update={"engine_file": str(partial)}), engine.name, report)
    report(
        f"{engine.name}: {answer.build_seconds:.1f} s, {answer.host_peak_bytes / _GB:.2f} GB of host memory, "
        f"weights {answer.weight_bytes} bytes, activations {answer.activation_bytes} bytes"
    )
    return EngineSpec(
        file=engine.relative_to(Path(request.graph_file).parent).as_posix(),
        compute_capability=request.compute_capability,
        compiler=request.module_name,
        compiler_version=answer.compiler_version,
        activation_bytes=answer.activation_bytes,
        weight_bytes=answer.weight_bytes,
        plan_bytes=engine.stat().st_size,
        build_seconds=answer.build_seconds,
        host_peak_bytes=answer.host_peak_bytes,
    )


def _run(request: BuildRequest, engine_name: str, report: Callable[[str], None]) -> BuildAnswer:
    """Runs the build in a child process and returns its answer. Raises ``ExportError``."""
    root = str(Path(__file__).parents[2])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))}
    with tempfile.TemporaryDirectory(prefix="stillcue-compile-") as scratch:
        request_file, answer_file, output_file = (Path(scratch) / name for name in ("request", "answer", "output"))
        request_file.write_text(request.model_dump_json(), encoding="utf-8")
        command = [sys.executable, "-m", "export.tensorrt.child", str(request_file), str(answer_file)]
        with output_file.open("wb") as output:
            process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            peak_bytes = _watch(process, engine_name, report)
        finally:
            process.kill()
            process.wait()
        if not answer_file.is_file():
            raise ExportError(_exit_message(process.returncode, peak_bytes, engine_name, output_file))
        answer = BuildAnswer.model_validate_json(answer_file.read_bytes())
    if answer.error is not None:
        raise ExportError(answer.error)
    return answer


def _watch(process: subprocess.Popen[bytes], engine_name: str, report: Callable[[str], None]) -> int:
    """Waits for the process, reports progress, and returns its peak memory in bytes."""
    started = last = time.monotonic()
    peak_bytes = 0
    report(f"{engine_name}: compiling")
    while True:
        try:
            process.wait(_POLL_SECONDS)
        except subprocess.TimeoutExpired:
            peak_bytes = max(peak_bytes, peak_resident_bytes(process.pid))
            now = time.monotonic()
            if now - last >= _REPORT_EVERY_SECONDS:
                last = now
                report(f"{engine_name}: compiling for {now - started:.0f} s, {peak_bytes / _GB:.2f} GB of host memory")
        else:
            return peak_bytes


def _exit_message(status: int, peak_bytes: int, engine_name: str, output_file: Path) -> str:
    """The error message for a process that ended without an answer."""
    said = output_file.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    last_words = f": {said[-1]}" if said else ""
    if status == -signal.SIGKILL:
        return (
            f"{engine_name}: the compiler was killed at {peak_bytes / _GB:.2f} GB of host memory, most likely because "
            "the machine ran out of it; compile on a machine with more memory, take a lower precision, or cut "
            "transformers into more --groups"
        )
    if status < 0:
        return (
            f"{engine_name}: the compiler crashed with {signal.Signals(-status).name}{last_words}; nothing was written"
        )
    return f"{engine_name}: the compiler ended with status {status}{last_words}; nothing was written"
