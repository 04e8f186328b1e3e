"""ONNX Runtime on one GPU, for GPUs and bundles without TensorRT plans.

Tensors are those of the TensorRT runtime: buffers of cuda-python, bound by address, so nothing is copied between calls.
All sessions work in one stream. Each has an arena of its own and gives its scratch back after every call; weights lie
outside the arena.
"""

from __future__ import annotations

import contextlib
import io
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

import numpy as np
import onnxruntime

from engine.api.errors import DeviceUnavailable, EngineError, GraphFailed
from engine.bundle.graph_spec import GraphSpec, TensorDtype
from engine.runtime.base import PROMPT_ROW_COUNTS, Array, CallShapes, Tensor
from engine.runtime.cuda import Stream, error_of_status
from engine.runtime.device_tensor import DeviceTensor
from engine.runtime.gpu import Gpu
from engine.runtime.ort_package import INSTALL_CUDA, has_cuda, missing_cuda
from engine.runtime.ort_session import Binding, OrtGraph, Session

_PROVIDER = "CUDAExecutionProvider"
_ELEMENT_TYPES: dict[TensorDtype, int] = {"float32": 1, "int64": 7, "float16": 10, "bfloat16": 16}  # of ONNX
_CUDA_STATUS = re.compile(r"CUDA failure (\d+)")
_OUT_OF_MEMORY = ("Failed to allocate memory", "ALLOC_FAILED", "bad_alloc")
_OUT_OF_MEMORY_STATUS = 2
# y = x, both float32 [1], as an ONNX file.
_IDENTITY = (
    b'\x08\x08:7\n\x10\n\x01x\x12\x01y"\x08Identity\x12\x01gZ\x0f\n\x01x\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01'
    b"b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\r"
)


class OrtCudaRuntime:
    """Raises ``DeviceUnavailable`` if ONNX Runtime cannot use the GPU."""

    load_remedy = "export the checkpoint with --precision fp16 for this runtime, or set the device to cpu"

    def __init__(self, gpu: Gpu) -> None:
        if not has_cuda():
            raise DeviceUnavailable(f"ONNX Runtime cannot use {gpu.name}: {missing_cuda()}")
        self.gpu = gpu
        self.device = gpu.device
        self.device.use_blocking_waits()
        self.stream = Stream(self.device)
        self.loader = ThreadPoolExecutor(1, thread_name_prefix="prefetch")
        self._calling = Lock()  # the scorer's graphs are called from other threads than the job's
        self._peak_bytes = 0
        self._options = onnxruntime.SessionOptions()
        self._options.log_severity_level = 3
        self._options.intra_op_num_threads = 1  # shapes alone are computed on the CPU
        self._options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
        self._provider_options = {
            "device_id": str(gpu.index),
            "user_compute_stream": str(self.stream.handle),
            "arena_extend_strategy": "kSameAsRequested",
            "cudnn_conv_algo_search": "HEURISTIC",  # by trial it takes memory, and another algorithm at each start
            "use_tf32": "0",  # in TF32 the solver would lose thirteen bits of every latent at every step
        }
        self._run_options = onnxruntime.RunOptions()
        self._run_options.add_run_config_entry("memory.enable_memory_arena_shrinkage", f"gpu:{gpu.index}")
        self._check_provider()

    @property
    def call_shapes(self) -> CallShapes:
        """See ``Runtime.call_shapes``."""
        return CallShapes(prediction_count=1, prompt_row_counts=PROMPT_ROW_COUNTS)

    @property
    def name(self) -> str:
        """Library, version and device."""
        gpu = self.gpu
        return f"onnxruntime {onnxruntime.__version__} {_PROVIDER} {gpu.name} ({gpu.compute_capability})"

    def load(self, folder: Path, spec: GraphSpec) -> OrtGraph:
        """See ``Runtime.load``."""
        return OrtGraph(self, folder, spec)

    def upload(self, array: Array) -> DeviceTensor:
        """A buffer with a copy of the array."""
        return DeviceTensor.from_host(array, self.stream)

    def zeros(self, shape: tuple[int, ...], dtype: TensorDtype = "float32") -> DeviceTensor:
        """A buffer of zeros."""
        return DeviceTensor.zeros(shape, dtype, self.stream)

    def trim(self) -> None:
        """Frees nothing: no call leaves scratch."""

    def memory_bytes(self) -> int:
        """GPU memory in use by all processes."""
        now = self.device.used_bytes()
        self._peak_bytes = max(self._peak_bytes, now)
        return now

    def peak_memory_bytes(self) -> int:
        """The highest ``memory_bytes`` after any call. Scratch is free again by then, and not counted."""
        self.memory_bytes()
        return self._peak_bytes

    def close(self) -> None:
        """Saves nothing."""

    def open(self, model: Path | bytes) -> Session:
        """See ``SessionHost.open``. Raises ``DeviceUnavailable`` if the library fell back to the CPU."""
        self.device.make_current()
        session = onnxruntime.InferenceSession(model, self._options, providers=[(_PROVIDER, self._provider_options)])
        if session.get_providers()[0] != _PROVIDER:  # the library logs why, and computes on the CPU
            raise DeviceUnavailable("the library fell back to the CPU")
        return session

    def bind(self, binding: Binding, name: str, tensor: Tensor, *, is_input: bool) -> None:
        """See ``SessionHost.bind``."""
        if not isinstance(tensor, DeviceTensor):
            raise TypeError("a tensor of another runtime was given to ONNX Runtime on CUDA")
        bind = binding.bind_input if is_input else binding.bind_output
        bind(name, "cuda", self.gpu.index, _ELEMENT_TYPES[tensor.dtype], list(tensor.shape), tensor.address)

    def call(self, session: Session, binding: Binding) -> None:
        """See ``SessionHost.call``."""
        with self._calling:
            self.device.make_current()
            session.run_with_iobinding(binding, self._run_options)
            self.stream.wait()
            self.memory_bytes()

    def error_of(self, text: str) -> EngineError:
        """See ``SessionHost.error_of``. A status of CUDA in the text counts as if CUDA had returned it."""
        status = _CUDA_STATUS.search(text)
        if status is not None:
            return error_of_status(int(status[1]), text)
        if any(words in text for words in _OUT_OF_MEMORY):
            return error_of_status(_OUT_OF_MEMORY_STATUS, text)
        return GraphFailed(text)

    def _check_provider(self) -> None:
        """Calls a small graph, because a provider that lacks a library fails in its first session or call."""
        told = io.StringIO()
        with contextlib.redirect_stdout(told):  # the library prints what it cannot find
            onnxruntime.preload_dlls()
        missing = "".join(f"; {line}" for line in told.getvalue().splitlines() if line.startswith("Failed to load"))
        try:
            session = self.open(_IDENTITY)
            binding = session.io_binding()
            source, target = self.upload(np.ones(1, np.float32)), self.zeros((1,))
            self.bind(binding, "x", source, is_input=True)
            self.bind(binding, "y", target, is_input=False)
            self.call(session, binding)
        except Exception as fault:
            raise DeviceUnavailable(
                f"ONNX Runtime {onnxruntime.__version__} cannot use {self.gpu.name}: {fault}{missing}; see its log, "
                f"and run: {INSTALL_CUDA}"
            ) from fault
