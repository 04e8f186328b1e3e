"""ONNX Runtime on the CPU."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import onnxruntime

from engine.api.errors import EngineError, GraphFailed, OutOfMemory
from engine.bundle.graph_spec import GraphSpec, TensorDtype
from engine.runtime.base import Array, CallShapes, Tensor
from engine.runtime.ort_session import Binding, OrtGraph, Session
from engine.runtime.process_memory import peak_resident_bytes, resident_bytes

_PROVIDERS = ["CPUExecutionProvider"]


class OrtTensor:
    """An OrtValue on the CPU over a numpy array, which it keeps alive."""

    def __init__(self, array: Array) -> None:
        self._array = np.ascontiguousarray(array)
        self.value = onnxruntime.OrtValue.ortvalue_from_numpy(self._array)

    def row(self, index: int) -> OrtTensor:
        """See ``Tensor.row``."""
        return OrtTensor(self._array[index : index + 1])

    def update(self, array: Array) -> None:
        """See ``Tensor.update``."""
        self._array[...] = array

    def to_host(self) -> Array:
        """A copy of the content."""
        return self.value.numpy().copy()  # type: ignore[no-any-return]


class OrtRuntime:
    """``thread_count`` threads work on one graph at a time; 0 means one per core."""

    loader = None  # on a CPU there is no other work to overlap with loading
    load_remedy = "export the checkpoint again"

    def __init__(self, thread_count: int) -> None:
        _share_arena()
        self._options = onnxruntime.SessionOptions()
        self._options.intra_op_num_threads = thread_count
        self._options.log_severity_level = 3
        # A pattern is one block for all activations of a call, which the arena allocates beside what the first call,
        # without a pattern, left in it: a decoder of 256x256 took 420 MiB instead of 210, in the same time.
        self._options.enable_mem_pattern = False
        self._options.add_session_config_entry("session.use_env_allocators", "1")
        # Threads that wait for work by spinning take the cores from the graph that runs and from the server.
        self._options.add_session_config_entry("session.intra_op.allow_spinning", "0")

    @property
    def call_shapes(self) -> CallShapes:
        """See ``Runtime.call_shapes``."""
        return CallShapes()

    @property
    def name(self) -> str:
        """Library, version and device."""
        return f"onnxruntime {onnxruntime.__version__} {_PROVIDERS[0]}"

    def load(self, folder: Path, spec: GraphSpec) -> OrtGraph:
        """See ``Runtime.load``."""
        return OrtGraph(self, folder, spec)

    def upload(self, array: Array) -> OrtTensor:
        """A buffer with a copy of the array."""
        return OrtTensor(array.copy())

    def zeros(self, shape: tuple[int, ...], dtype: TensorDtype = "float32") -> OrtTensor:
        """A buffer of zeros. Raises ``OutOfMemory``, and ``GraphFailed`` for bfloat16, which numpy lacks."""
        if dtype == "bfloat16":
            raise GraphFailed("bfloat16 buffers are not supported with ONNX Runtime; export with fp16 for a CPU")
        try:
            return OrtTensor(np.zeros(shape, dtype))
        except MemoryError as error:
            raise OutOfMemory("the host ran out of memory") from error

    def trim(self) -> None:
        """Frees nothing: the arena holds the largest stage, not the sum, and what one left serves the next."""

    def memory_bytes(self) -> int:
        """Resident memory of this process."""
        return resident_bytes()

    def peak_memory_bytes(self) -> int:
        """Peak resident memory of this process."""
        return peak_resident_bytes()

    def close(self) -> None:
        """Saves nothing."""

    def open(self, model: Path) -> Session:
        """See ``SessionHost.open``."""
        return onnxruntime.InferenceSession(model, self._options, providers=_PROVIDERS)

    def bind(self, binding: Binding, name: str, tensor: Tensor, *, is_input: bool) -> None:
        """See ``SessionHost.bind``."""
        if not isinstance(tensor, OrtTensor):
            raise TypeError("a tensor of another runtime was given to ONNX Runtime")
        (binding.bind_ortvalue_input if is_input else binding.bind_ortvalue_output)(name, tensor.value)

    def call(self, session: Session, binding: Binding) -> None:
        """See ``SessionHost.call``."""
        session.run_with_iobinding(binding)

    def error_of(self, text: str) -> EngineError:
        """See ``SessionHost.error_of``."""
        if "bad_alloc" in text or "Failed to allocate memory" in text:
            return OutOfMemory("the host ran out of memory")
        return GraphFailed(text)


@functools.cache
def _share_arena() -> None:
    """Makes all graphs of the process share one arena.

    They run one after another, so memory that one frees serves the next.
    """
    memory = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    onnxruntime.create_and_register_allocator(memory, None)
