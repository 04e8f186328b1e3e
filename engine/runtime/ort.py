"""ONNX Runtime on the CPU. The only module of the engine that imports onnxruntime."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnxruntime

from engine.api.errors import GraphFailed, OutOfMemory
from engine.bundle.graph_spec import GraphSpec, TensorDtype
from engine.runtime.base import Array, CallShapes, GraphNotLoaded, Tensor
from engine.runtime.process_memory import peak_resident_bytes, resident_bytes

onnxruntime.disable_telemetry_events()  # on Windows; on Linux ``engine.host.libraries`` prevents them
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


class OrtGraph:
    """An inference session with bound inputs and outputs. ``open_session`` opens it again after ``unload``."""

    def __init__(self, open_session: Callable[[], onnxruntime.InferenceSession], spec: GraphSpec) -> None:
        self._open_session = open_session
        self._session: onnxruntime.InferenceSession | None = open_session()
        self._spec = spec

    @property
    def spec(self) -> GraphSpec:
        """The graph's entry in the manifest."""
        return self._spec

    def run(self, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
        """See ``Graph.run``."""
        session = self._loaded()
        binding = session.io_binding()
        for name, tensor in inputs.items():
            binding.bind_ortvalue_input(name, _value(tensor))
        for name, tensor in outputs.items():
            binding.bind_ortvalue_output(name, _value(tensor))
        try:
            session.run_with_iobinding(binding)
        except MemoryError as error:
            raise OutOfMemory("the host ran out of memory") from error
        except Exception as error:  # the binding raises its own types, none of them public
            if "bad_alloc" in str(error) or "Failed to allocate memory" in str(error):
                raise OutOfMemory("the host ran out of memory") from error
            raise GraphFailed(f"graph {self._spec.file} failed: {error}") from error

    def prefetch(self) -> None:
        """Opens the session if it was dropped. Blocks, because on a CPU there is no other work to overlap."""
        self._loaded()

    def unload(self) -> None:
        """Drops the session and its weights."""
        self._session = None

    def _loaded(self) -> onnxruntime.InferenceSession:
        if self._session is None:
            self._session = self._open_session()
        return self._session


class OrtRuntime:
    """``thread_count`` threads work on one graph at a time; 0 means one per core."""

    def __init__(self, thread_count: int) -> None:
        _share_arena()
        self._options = onnxruntime.SessionOptions()
        self._options.intra_op_num_threads = thread_count
        self._options.log_severity_level = 3
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

        def open_session() -> onnxruntime.InferenceSession:
            try:
                return onnxruntime.InferenceSession(folder / spec.file, self._options, providers=_PROVIDERS)
            except Exception as error:  # the session raises its own types, none of them public
                file = folder / spec.file
                raise GraphNotLoaded(f"cannot load {file}: {error}; export the checkpoint again") from error

        return OrtGraph(open_session, spec)

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
        """Frees nothing: the shared arena keeps its memory, which makes jobs on a CPU faster."""

    def memory_bytes(self) -> int:
        """Resident memory of this process."""
        return resident_bytes()

    def peak_memory_bytes(self) -> int:
        """Peak resident memory of this process."""
        return peak_resident_bytes()

    def close(self) -> None:
        """Saves nothing."""


def _value(tensor: Tensor) -> onnxruntime.OrtValue:
    if not isinstance(tensor, OrtTensor):
        raise TypeError("a tensor of another runtime was given to ONNX Runtime")
    return tensor.value


@functools.cache
def _share_arena() -> None:
    """Makes all graphs of the process share one arena.

    They run one after another, so memory that one frees serves the next.
    """
    memory = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    onnxruntime.create_and_register_allocator(memory, None)
