"""Faults of compiling: each is reported in one sentence with its remedy, and no partial plan stays."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest

from export.errors import ExportError
from export.tensorrt import TARGETS, AxisRange, compile_engines, find_target, graph_axes
from export.tensorrt.compiler_log import CompilerLog, readable

_RTX3090, _RTX4090 = TARGETS
_ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def linear(tmp_path: Path) -> Path:
    file = tmp_path / "linear.onnx"
    onnx.save(_linear(), file)
    return file


def _linear() -> onnx.ModelProto:
    model = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 20]> g (float[4,64] x, float[64,64] w) => (float[4,64] y) '
        "{ y = MatMul(x, w) }"
    )
    model.graph.input.pop()
    weights = np.random.default_rng(0).standard_normal((64, 64), dtype=np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weights, "w"))
    return model


def _write(file: Path, graph: str, opset: int = 20) -> Path:
    onnx.save(onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : {opset}]> {graph}'), file)
    return file


def _compiler(folder: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> str:
    """A compiler that does something else; its module's name."""
    (folder / "odd_compiler.py").write_text(source)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return "odd_compiler"


def _refusal(graph: Path, **options: object) -> str:
    with pytest.raises(ExportError) as refused:
        compile_engines(graph, [_RTX3090], graph.parent / "plans", **options)  # type: ignore[arg-type]
    assert list((graph.parent / "plans").glob("*")) == []
    return str(refused.value)


def _fp8_graph(folder: Path) -> Path:
    body = "q = QuantizeLinear<output_dtype=17>(x, s) d = DequantizeLinear(q, s) y = MatMul(d, w)"
    weights = ",".join(["0.5"] * 4096)
    graph = f"g (float[4,64] x) => (float[4,64] y) <float s = {{0.1}}, float[64,64] w = {{{weights}}}> {{ {body} }}"
    return _write(folder / "linear.onnx", graph, opset=21)


def test_fp8_for_the_3090_is_refused_before_the_compiler_is_asked(tmp_path: Path) -> None:
    expected = (
        "--gpu rtx3090: linear.onnx computes in fp8, which sm_86 does not have; take --precision int8, int4, fp16 for "
        "this GPU, or leave it out"
    )
    graph = _fp8_graph(tmp_path)
    for targets in ([_RTX3090], [_RTX4090, _RTX3090]):
        with pytest.raises(ExportError) as refused:
            compile_engines(graph, targets, tmp_path / "plans", module_name="no_compiler_at_all")
        assert str(refused.value) == expected
    assert not (tmp_path / "plans").exists()


def test_fp8_for_the_4090_compiles(tmp_path: Path) -> None:
    (engine,) = compile_engines(_fp8_graph(tmp_path), [_RTX4090], tmp_path)
    assert engine.file == "linear.sm_89.plan"
    assert (tmp_path / engine.file).stat().st_size == engine.plan_bytes


def test_cards_of_one_capability_share_a_plan(linear: Path) -> None:
    (engine,) = compile_engines(linear, [_RTX3090, _RTX3090], linear.parent)
    assert engine.compute_capability == "sm_86"
    assert engine.weight_bytes >= 64 * 64 * 4


def test_an_unknown_card() -> None:
    with pytest.raises(ExportError, match="--gpu rtx2080: unknown; give one of rtx3090, rtx4090"):
        find_target("rtx2080")


def test_a_node_that_the_compiler_does_not_know(tmp_path: Path) -> None:
    graph = _write(tmp_path / "odd.onnx", "g (float[8,8] x) => (float[] y) { y = Det(x) }")
    assert _refusal(graph) == (
        f"{graph}: the compiler does not accept this graph: node without a name (Det): UNSUPPORTED_NODE, false"
    )


def test_an_open_axis_needs_a_range(tmp_path: Path) -> None:
    graph = _write(tmp_path / "open.onnx", "g (float[length,8] x) => (float[length,8] y) { y = Add(x, x) }")
    assert _refusal(graph) == (
        f"{graph}: axis 0 of input x, 'length', has no fixed length and no range; ranges are given for batch, columns, "
        "pictures, rows, sentences"
    )
    (engine,) = compile_engines(graph, [_RTX3090], tmp_path, axes={"length": AxisRange(1, 4, 1000)})
    assert (engine.file, engine.activation_bytes, engine.weight_bytes) == ("open.sm_86.plan", 0, 0)


def test_ranges_are_in_order() -> None:
    with pytest.raises(ValueError, match="is not in order"):
        AxisRange(2, 1, 3)
    assert graph_axes(["latents", "last_sample", "x0_1", "x0_2", "prediction", "matrix"])["columns"] == AxisRange(
        5, 6, 6
    )


@pytest.mark.parametrize("content", [b"", b"no graph at all"])
def test_a_file_that_is_no_graph(tmp_path: Path, content: bytes) -> None:
    graph = tmp_path / "graph.onnx"
    graph.write_bytes(content)
    with pytest.raises(ExportError, match=f"{graph} is not an ONNX graph: .*; export the checkpoint again"):
        compile_engines(graph, [_RTX3090], tmp_path / "plans")


def test_a_missing_graph(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"cannot read .*absent.onnx: No such file or directory"):
        compile_engines(tmp_path / "absent.onnx", [_RTX3090], tmp_path)


def test_weights_that_are_missing(tmp_path: Path) -> None:
    graph = tmp_path / "linear.onnx"
    onnx.save(_linear(), graph, save_as_external_data=True, location="weights.bin", size_threshold=0)
    (tmp_path / "weights.bin").unlink()
    assert f"{graph}: the compiler does not accept this graph" in _refusal(graph)


def test_no_compiler(linear: Path) -> None:
    assert _refusal(linear, module_name="tensorrt_absent") == (
        "the compiler tensorrt_absent cannot be imported (No module named 'tensorrt_absent'); install it with: "
        "pip install '.[tensorrt]'"
    )


def test_classic_tensorrt_compiles_for_its_own_card_only(
    linear: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "from tensorrt_rtx import *\nfrom tensorrt_rtx import __version__\ndel ComputeCapability\n"
    message = _refusal(linear, module_name=_compiler(tmp_path, monkeypatch, source))
    without_gpu, with_another = (
        "compiles only on a machine with a GPU: no NVIDIA",
        "compiles for the GPU in this machine, ",
    )
    assert message.startswith((f"odd_compiler {without_gpu}", f"odd_compiler {with_another}"))


@pytest.mark.parametrize(
    ("source", "end"),
    [
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "the compiler was killed at "),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", "the compiler crashed with SIGSEGV; nothing"),
        (
            "import os\nos.write(2, b'terminate called\\n')\nos.abort()",
            "crashed with SIGABRT: terminate called; nothing",
        ),
        ("import os\nos._exit(3)", "the compiler ended with status 3; nothing was written"),
        ("raise RuntimeError('no licence')", "the compiler ended with status 1: RuntimeError: no licence; nothing"),
    ],
)
def test_a_compiler_that_ends_without_an_answer(
    linear: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, end: str
) -> None:
    message = _refusal(linear, module_name=_compiler(tmp_path, monkeypatch, source))
    assert message.startswith("linear.sm_86.plan: ")
    assert end in message


def test_a_kill_for_memory_says_how_far_it_came(linear: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = (
        "import os, signal, time\nheld = bytearray(300_000_000)\ntime.sleep(1)\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    message = _refusal(linear, module_name=_compiler(tmp_path, monkeypatch, source))
    gigabytes = float(
        message.split(" GB of host memory, most likely because the machine ran out of it; ")[0].split()[-1]
    )
    assert 0.3 < gigabytes < 1
    assert message.endswith("take a lower precision, or cut transformers into more --groups")


@pytest.fixture
def small_files() -> Iterator[None]:
    """Files may have 4 KiB, as on a disk that is full after them."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk(linear: Path, small_files: None) -> None:
    message = _refusal(linear)
    assert message == f"{linear.parent}/plans/linear.sm_86.plan.partial: File too large; free space on that disk"


def test_a_plan_from_before_stays_when_compiling_fails(linear: Path, tmp_path: Path) -> None:
    before = tmp_path / "linear.sm_86.plan"
    before.write_bytes(b"the plan from before")
    with pytest.raises(ExportError):
        compile_engines(linear, [_RTX3090], tmp_path, module_name="tensorrt_absent")
    assert before.read_bytes() == b"the plan from before"


def test_the_compiler_dies_with_the_exporter(linear: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = f"import os, time\nopen({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)"
    module = _compiler(tmp_path, monkeypatch, source)
    program = (
        "from pathlib import Path; from export.tensorrt import TARGETS, compile_engines; "
        f"compile_engines(Path({str(linear)!r}), TARGETS[:1], Path({str(tmp_path)!r}), module_name={module!r})"
    )
    exporter = subprocess.Popen([sys.executable, "-c", program], cwd=_ROOT)
    compiler = _wait_for_pid(tmp_path / "pid")
    exporter.send_signal(signal.SIGKILL)
    exporter.wait()
    deadline = time.monotonic() + 30
    while _is_alive(compiler) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _is_alive(compiler)


def _wait_for_pid(file: Path) -> int:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if file.is_file() and (text := file.read_text()):
            return int(text)
        time.sleep(0.05)
    raise AssertionError("the compiler did not start")


def _is_alive(process_id: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process_id}/status").read_text()
    except FileNotFoundError:
        return False


def test_messages_become_sentences() -> None:
    messages = CompilerLog()
    messages.add("Total Activation Memory: 8192512 bytes", is_error=False)
    messages.add("Total Weights Memory: 4872 bytes", is_error=False)
    assert (messages.activation_bytes, messages.weight_bytes) == (8192512, 4872)
    assert messages.summary() == "it gave no reason"
    for _ in range(2):
        messages.add(
            "IBuilder::buildSerializedNetwork: Error Code 1: Myelin ([pass.cpp:1500: run_passes] Cannot compile for "
            "target(s) sm86, because the model contains HW-specific datatypes: fp8_e4m3. In compileGraph at "
            "/_src/optimizer/myelin/codeGenerator.cpp:2012)",
            is_error=True,
        )
    assert messages.summary() == (
        "Cannot compile for target(s) sm86, because the model contains HW-specific datatypes: fp8_e4m3"
    )
    assert (
        readable("onnxOpCheckers.cpp:1130 In function\n checkDet:") == "onnxOpCheckers.cpp:1130 In function checkDet:"
    )


def test_pythonpath_of_the_caller_is_kept(linear: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "import os\nraise RuntimeError(os.environ['PYTHONPATH'])"
    message = _refusal(linear, module_name=_compiler(tmp_path, monkeypatch, source))
    assert f"RuntimeError: {_ROOT}{os.pathsep}{tmp_path};" in message
