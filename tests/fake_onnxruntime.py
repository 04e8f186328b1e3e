"""A fake of onnxruntime-gpu over ``fake_cuda``, as strict as the real one, with its texts; the real CPU build computes.

Weights and scratch take memory of the GPU; scratch stays unless a run asks to shrink the arena. What is bound must lie
in one buffer of the session's GPU and have the type of the graph. Without its libraries the provider is left out, and
only a printed line tells it. Texts: onnxruntime's cuda_call.cc, bfc_arena.cc and inference_session.cc, as users report
them.
"""

from __future__ import annotations

import ctypes
import math
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from tests.fake_cuda import FakeCuda, cudaError_t

WEIGHT_BYTES, SCRATCH_BYTES = 100_000, 30_000
_SHRINK = "memory.enable_memory_arena_shrinkage"
_SOURCE = "/onnxruntime_src/onnxruntime/core"
_TYPES: Mapping[int, tuple[str, str]] = {
    1: ("tensor(float)", "float32"),
    7: ("tensor(int64)", "int64"),
    10: ("tensor(float16)", "float16"),
}
_OPTIONS = {"device_id", "user_compute_stream", "arena_extend_strategy", "cudnn_conv_algo_search", "use_tf32"}


def cuda_failure(status: cudaError_t, file: str, expression: str) -> str:
    """The library's text for a status of CUDA."""
    call = f"{_SOURCE}/providers/cuda/cuda_call.cc:129 std::conditional_t<THRW, void, onnxruntime::common::Status>"
    told = status.name.removeprefix("cudaError")
    return f"{call} CUDA failure {int(status)}: {told} ; GPU=0 ; hostname=x ; file={file} ; line=84 ; expr={expression}"


class RunOptions:
    def __init__(self) -> None:
        self.entries: dict[str, str] = {}

    def add_run_config_entry(self, name: str, value: str) -> None:
        self.entries[name] = value


class FakeOnnxRuntime:
    """Takes the place of the module. ``fault`` is the text that the next run fails with."""

    __version__ = "1.31.1"
    SessionOptions = onnxruntime.SessionOptions
    RunOptions = RunOptions

    def __init__(self, gpu: FakeCuda) -> None:
        self.gpu = gpu
        self.missing_library: str | None = None
        self.fault: str | None = None
        self.opened: list[str] = []

    def get_available_providers(self) -> list[str]:
        return ["CUDAExecutionProvider", "CPUExecutionProvider"]

    def preload_dlls(self) -> None:
        if self.missing_library is not None:
            print(f"Failed to load {self.missing_library}: cannot open shared object file")  # noqa: T201

    def InferenceSession(
        self, model: Path | bytes, options: Any, providers: Sequence[tuple[str, Mapping[str, str]]]
    ) -> Session:
        ((provider, given),) = providers
        assert provider == "CUDAExecutionProvider"
        assert set(given) == _OPTIONS, "the provider refuses options that it does not know"
        assert options.get_session_config_entry("session.use_device_allocator_for_initializers") == "1"
        self.opened.append(model.name if isinstance(model, Path) else "bytes")
        return Session(self, model, given)


class Session:
    def __init__(self, library: FakeOnnxRuntime, model: Path | bytes, options: Mapping[str, str]) -> None:
        self.library = library
        self.device, self.stream = int(options["device_id"]), int(options["user_compute_stream"])
        quiet = onnxruntime.SessionOptions()
        quiet.log_severity_level, quiet.intra_op_num_threads = 3, 1
        self.computing = onnxruntime.InferenceSession(model, quiet, providers=["CPUExecutionProvider"])
        self.held: list[int] = []
        weakref.finalize(self, _free, library.gpu, self.device, self.held)
        if library.missing_library is None:
            self.allocate(WEIGHT_BYTES, f"{_SOURCE}/providers/cuda/cuda_allocator.cc", "cudaMalloc((void**)&p, size);")

    def get_providers(self) -> list[str]:
        if self.library.missing_library is not None:
            return ["CPUExecutionProvider"]
        return ["CUDAExecutionProvider", "CPUExecutionProvider"]

    def io_binding(self) -> Binding:
        return Binding(self)

    def allocate(self, size: int, file: str, expression: str) -> None:
        gpu = self.library.gpu
        gpu.cudaSetDevice(self.device)
        status, address = gpu.cudaMalloc(size)
        if address is None:
            raise RuntimeError(f"[ONNXRuntimeError] : 1 : FAIL : {cuda_failure(status, file, expression)}")
        self.held.append(address)

    def run_with_iobinding(self, binding: Binding, options: RunOptions) -> None:
        """Computes in the stream and waits for it, as the library does by default."""
        gpu, fault = self.library.gpu, self.library.fault
        for item in self.computing.get_inputs():
            if item.name not in binding.inputs:
                raise RuntimeError(f"[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Missing Input: {item.name}")
        if fault is not None:
            raise RuntimeError(f"Non-zero status code returned while running Mul node. Status Message: {fault}")
        before = len(self.held)
        try:
            self.allocate(SCRATCH_BYTES, "", "")
        except RuntimeError:
            raise RuntimeError(
                "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running MatMul node. "
                f"Status Message: {_SOURCE}/framework/bfc_arena.cc:376 void* onnxruntime::BFCArena::AllocateRawInternal"
                "(size_t, bool, onnxruntime::Stream*) Failed to allocate memory for requested buffer of size 30000"
            ) from None
        gpu.enqueue(self.stream, lambda: _compute(self.computing, binding))
        (status,) = gpu.cudaStreamSynchronize(self.stream)
        if status is not cudaError_t.cudaSuccess:
            text = cuda_failure(status, "cuda_stream_handle.cc", "cudaStreamSynchronize(stream);")
            raise RuntimeError(f"[ONNXRuntimeError] : 1 : FAIL : {text}")
        if options.entries.get(_SHRINK) == f"gpu:{self.device}":
            gpu.cudaFree(self.held.pop())
            assert len(self.held) == before


class Binding:
    def __init__(self, session: Session) -> None:
        self._session = session
        self.inputs: dict[str, np.ndarray[Any, Any]] = {}
        self.outputs: dict[str, np.ndarray[Any, Any]] = {}

    def bind_input(self, *arguments: Any) -> None:
        self._bind(self._session.computing.get_inputs(), self.inputs, *arguments)

    def bind_output(self, *arguments: Any) -> None:
        self._bind(self._session.computing.get_outputs(), self.outputs, *arguments)

    def _bind(
        self,
        items: Sequence[Any],
        bound: dict[str, np.ndarray[Any, Any]],
        name: str,
        device_type: str,
        device_id: int,
        element_type: int,
        shape: list[int],
        address: int,
    ) -> None:
        item = next((item for item in items if item.name == name), None)
        if item is None:
            raise RuntimeError(f"[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Invalid Feed Input Name:{name}")
        assert (device_type, device_id) == ("cuda", self._session.device)
        kind, dtype = _TYPES[element_type]
        if kind != item.type:
            raise RuntimeError(
                f"[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Unexpected input data type. Actual: ({kind}) , expected: "
                f"({item.type})"
            )
        if len(shape) != len(item.shape) or any(
            isinstance(wanted, int) and wanted != got for wanted, got in zip(item.shape, shape, strict=True)
        ):
            raise RuntimeError(
                f"[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Got invalid dimensions for input: {name} for the "
                f"following indices\n index: 0 Got: {shape[0]} Expected: {item.shape[0]}"
            )
        count = math.prod(shape)
        size = count * np.dtype(dtype).itemsize
        gpu = self._session.library.gpu
        assert gpu.device_of(address) == gpu.device_of(address + size - 1) == device_id, "an address of another memory"
        memory = (ctypes.c_ubyte * size).from_address(address)
        bound[name] = np.frombuffer(memory, dtype).reshape(shape)  # type: ignore[call-overload]


def _compute(session: Any, binding: Binding) -> None:
    names = list(binding.outputs)
    for name, result in zip(names, session.run(names, binding.inputs), strict=True):
        if result.shape != binding.outputs[name].shape:
            raise RuntimeError(f"OrtValue shape verification failed. Requested shape:{result.shape}")
        binding.outputs[name][...] = result


def _free(gpu: FakeCuda, device: int, addresses: list[int]) -> None:
    gpu.cudaSetDevice(device)
    for address in addresses:
        gpu.cudaFree(address)
