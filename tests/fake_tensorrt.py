"""A fake ``tensorrt_rtx``, as far as the engine uses it: a plan is a small JSON file, and ONNX Runtime computes it.

A manifest names this module as its compiler, so the engine imports it like the real one. Weights take memory of the GPU
that ``engine.runtime.cuda`` sees, which in tests is ``tests.fake_cuda``. As strict as the library where that is known:
it logs the cause of a fault first and a general line last, refuses shapes outside of a plan's profile, and works on the
current GPU of the thread.
"""

from __future__ import annotations

import ctypes
import enum
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from engine.runtime import cuda
from engine.runtime.base import Array

__version__ = "9.9.9"

_OF_ORT = {"tensor(float)": "FLOAT", "tensor(float16)": "HALF", "tensor(int64)": "INT64"}
_OF_NUMPY = {"FLOAT": np.float32, "HALF": np.float16, "INT64": np.int64}
SCRATCH_BYTES = 4096  # of a graph without open axes
CLEAN_UP = "[executor.cpp::release::88] Error Code 4: Internal Error (Clean-up after a failed call. )"
OUT_OF_MEMORY = (
    "Requested amount of GPU memory (1073741824 bytes) could not be allocated. There may not be enough free memory for "
    "allocation to succeed.",
    CLEAN_UP,
)
# Tests set these. A step ("open", "context", "weights", "stream", "enqueue") that logs such lines and fails; why the
# cache of kernels refuses what was kept; and what every context was configured with.
refused: dict[str, tuple[str, ...]] = {}
kernels_refused_for: list[str] = []
strategies: list[DynamicShapesKernelSpecializationStrategy] = []


def write_plan(
    file: Path,
    graph: Path,
    weight_bytes: int,
    version: str = __version__,
    capability: str = "sm_86",
    profile: Mapping[str, tuple[int, int]] | None = None,
) -> None:
    """Writes a fake plan for a graph. ``profile`` holds the least and the greatest length of open axes by name."""
    plan = {
        "graph": str(graph),
        "weight_bytes": weight_bytes,
        "version": version,
        "capability": capability,
        "profile": profile or {},
    }
    file.write_text(json.dumps(plan), encoding="utf-8")


class ILogger:
    class Severity(enum.Enum):
        INTERNAL_ERROR = 0
        ERROR = 1
        WARNING = 2
        INFO = 3

    INTERNAL_ERROR, ERROR, WARNING, INFO = Severity

    def log(self, severity: Severity, text: str) -> None:
        raise NotImplementedError


def fail(logger: ILogger, *lines: str) -> None:
    """Logs the lines of a fault: the cause first, then what the library says of its own clean-up."""
    for line in (*lines, CLEAN_UP):
        logger.log(ILogger.ERROR, line)


def is_refused(step: str, logger: ILogger) -> bool:
    """The test has the step fail."""
    for line in refused.get(step, ()):
        logger.log(ILogger.ERROR, line)
    return step in refused


class DataType(enum.Enum):
    FLOAT = 0
    HALF = 1
    BF16 = 2
    INT64 = 3


class ExecutionContextAllocationStrategy(enum.Enum):
    STATIC = 0
    USER_MANAGED = 1


class DynamicShapesKernelSpecializationStrategy(enum.Enum):
    LAZY = 0
    EAGER = 1
    NONE = 2


class SeekPosition(enum.Enum):
    SET = 0
    CUR = 1
    END = 2


class IStreamReaderV2:
    def read(self, byte_count: int, stream: int) -> memoryview:
        raise NotImplementedError

    def seek(self, offset: int, origin: SeekPosition) -> bool:
        raise NotImplementedError


class EngineValidity(enum.Enum):
    VALID = 0
    INVALID = 2


class EngineInvalidityDiagnostics(enum.IntFlag):
    VERSION_MISMATCH = 1
    UNSUPPORTED_CC = 2
    MALFORMED_ENGINE = 32


class IRuntimeCache:
    def __init__(self, logger: ILogger) -> None:
        self.logger = logger
        self.kernels: set[str] = set()

    def serialize(self) -> bytes:
        return json.dumps(sorted(self.kernels)).encode()

    def deserialize(self, content: bytes) -> bool:
        if not cuda.cudart().has_context:
            self.logger.log(ILogger.ERROR, "no CUDA context is current in this thread")
            return False
        for line in kernels_refused_for:
            self.logger.log(ILogger.WARNING, line)
        try:
            kernels = set(json.loads(content))
        except ValueError:
            return False
        self.kernels = set() if kernels_refused_for else kernels
        return not kernels_refused_for


class RuntimeConfig:
    def __init__(self, logger: ILogger) -> None:
        self.logger = logger
        self.cache: IRuntimeCache | None = None
        self.strategy = ExecutionContextAllocationStrategy.STATIC
        self.dynamic_shapes_kernel_specialization_strategy = DynamicShapesKernelSpecializationStrategy.LAZY

    def create_runtime_cache(self) -> IRuntimeCache:
        return IRuntimeCache(self.logger)

    def set_runtime_cache(self, cache: IRuntimeCache) -> bool:
        self.cache = cache
        return True

    def set_execution_context_allocation_strategy(self, strategy: ExecutionContextAllocationStrategy) -> None:
        self.strategy = strategy


class Runtime:
    opened: list[str] = []  # noqa: RUF012  graphs in the order in which they were opened, for tests to look at

    def __init__(self, logger: ILogger) -> None:
        self.logger = logger
        self.defer_weights_loading = False

    def get_engine_validity(self, content: Any) -> tuple[EngineValidity, int]:
        flags = EngineInvalidityDiagnostics
        try:
            plan = json.loads(bytes(content))
        except ValueError:
            return EngineValidity.INVALID, flags.MALFORMED_ENGINE
        fault = 0 if plan["version"] == __version__ else flags.VERSION_MISMATCH
        fault |= 0 if plan["capability"] == "sm_86" else flags.UNSUPPORTED_CC
        return (EngineValidity.INVALID if fault else EngineValidity.VALID), fault

    def deserialize_cuda_engine(self, content: Any) -> Engine | None:
        plan = json.loads(bytes(content))
        self.opened.append(Path(plan["graph"]).name)
        if not Path(plan["graph"]).is_file():
            fail(self.logger, "the graph behind this plan is gone")
            return None
        if is_refused("open", self.logger):
            return None
        engine = Engine(plan, self.logger)
        if not self.defer_weights_loading and not engine.load_weights(content):
            return None
        return engine


class Engine:
    def __init__(self, plan: dict[str, Any], logger: ILogger) -> None:
        self.plan, self.logger = plan, logger
        self.session = onnxruntime.InferenceSession(plan["graph"], providers=["CPUExecutionProvider"])
        nodes = (*self.session.get_inputs(), *self.session.get_outputs())
        self.dtypes = {node.name: DataType[_OF_ORT[node.type]] for node in nodes}
        self.weights: int | None = None
        self.are_weights_there = False  # what streams in is there once its stream was waited for
        self.cuda: Any = cuda.cudart()

    def __del__(self) -> None:
        if self.weights is not None:
            self.cuda.cudaFree(self.weights)

    def load_weights(self, content: Any) -> bool:
        if is_refused("weights", self.logger):
            return False
        assert bytes(content) == json.dumps(self.plan).encode(), "weights come from the plan that was opened"
        self.are_weights_there = self._allocate()
        return self.are_weights_there

    def load_weights_async(self, reader: IStreamReaderV2, stream: int) -> bool:
        """Reads the start of the plan, then all of it, as a library does that looks at a header first."""
        if is_refused("stream", self.logger):
            return False
        expected = json.dumps(self.plan).encode()
        assert bytes(reader.read(8, stream)) == expected[:8]
        assert reader.seek(0, SeekPosition.SET)
        content = b""
        while len(content) < len(expected):
            part = reader.read(len(expected) - len(content), stream)
            if not part:
                fail(self.logger, "the stream reader gave no data")
                return False
            address = ctypes.addressof(ctypes.c_ubyte.from_buffer(part))
            assert self.cuda.is_pinned(address, len(part)), "weights are copied from memory that is not page-locked"
            content += bytes(part)
        assert content == expected, "weights come from the plan that was opened"

        def arrive() -> None:
            self.are_weights_there = True

        return self._allocate() and not self.cuda.enqueue(stream, arrive)

    def unload_weights(self) -> bool:
        assert self.weights is not None, "weights are freed twice"
        self.cuda.cudaFree(self.weights)
        self.weights, self.are_weights_there = None, False
        return True

    def _allocate(self) -> bool:
        assert self.weights is None, "weights are loaded twice"
        status, self.weights = self.cuda.cudaMalloc(self.plan["weight_bytes"])
        if self.weights is None:
            fail(self.logger, f"Error Code 1: Cuda Runtime (In allocate (cudaError {status:d}: {status.name}))")
        return self.weights is not None

    def create_runtime_config(self) -> RuntimeConfig:
        return RuntimeConfig(self.logger)

    def create_execution_context(self, config: RuntimeConfig) -> Context | None:
        return None if is_refused("context", self.logger) else Context(self, config)

    @property
    def num_io_tensors(self) -> int:
        return len(self.dtypes)

    def get_tensor_name(self, index: int) -> str:
        return list(self.dtypes)[index]

    def get_tensor_dtype(self, name: str) -> DataType:
        return self.dtypes[name]


class Context:
    def __init__(self, engine: Engine, config: RuntimeConfig) -> None:
        assert config.strategy is ExecutionContextAllocationStrategy.USER_MANAGED
        strategies.append(config.dynamic_shapes_kernel_specialization_strategy)
        self.engine, self.config = engine, config
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.addresses: dict[str, int] = {}
        self.scratch = (0, 0)

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        node = next(node for node in self.engine.session.get_inputs() if node.name == name)
        profile = self.engine.plan["profile"]
        ranges = [profile.get(own, (1, 2**31)) if isinstance(own, str) else (own, own) for own in node.shape]
        fits = len(ranges) == len(shape) and all(
            least <= length <= greatest for (least, greatest), length in zip(ranges, shape, strict=True)
        )
        if not fits:
            fail(self.engine.logger, f"{name} must be within {ranges}, the profile of this plan")
        self.shapes[name] = shape
        return fits

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        node = next(node for node in self.engine.session.get_outputs() if node.name == name)
        lengths = self._lengths()
        return tuple(lengths.get(axis, 1) if isinstance(axis, str) else axis for axis in node.shape)

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def update_device_memory_size_for_shapes(self) -> int:
        open_axes = {axis: length for axis, length in self._lengths().items() if isinstance(axis, str)}
        return SCRATCH_BYTES * math.prod(open_axes.values())

    def set_device_memory(self, address: int, size: int) -> None:
        self.scratch = (address, size)

    def execute_async_v3(self, stream: int) -> bool:
        assert self.engine.are_weights_there, "a plan without weights was run"
        assert self.scratch[1] >= self.update_device_memory_size_for_shapes(), "a context without memory was run"
        if is_refused("enqueue", self.engine.logger):
            return False
        if self.config.cache is not None:
            self.config.cache.kernels.add(Path(self.engine.plan["graph"]).name)
        gpu, memory = self.engine.cuda, (*self.addresses.values(), self.scratch[0], self.engine.weights)
        if {gpu.device_of(address) for address in memory} != {gpu.current_device}:
            fail(self.engine.logger, "memory of another GPU was bound")
            return False
        session = self.engine.session
        names = [node.name for node in session.get_outputs()]
        inputs = {node.name: self._array(node.name, self.shapes[node.name]) for node in session.get_inputs()}
        outputs = {name: self._array(name, self.get_tensor_shape(name)) for name in names}

        def compute() -> None:
            for name, value in zip(names, session.run(names, inputs), strict=True):
                np.copyto(outputs[name], value)

        status = gpu.enqueue(stream, compute)
        if status:
            fail(self.engine.logger, f"Error Code 1: Cuda Runtime (In launch (cudaError {status:d}: {status.name}))")
        return not status

    def _lengths(self) -> dict[Any, int]:
        """Lengths of axes by name, and of fixed axes by their length."""
        inputs = [(item.shape, self.shapes[item.name]) for item in self.engine.session.get_inputs()]
        return {axis: length for shape, given in inputs for axis, length in zip(shape, given, strict=True)}

    def _array(self, name: str, shape: tuple[int, ...]) -> Array:
        dtype = np.dtype(_OF_NUMPY[self.engine.dtypes[name].name])
        memory = (ctypes.c_ubyte * (math.prod(shape) * dtype.itemsize)).from_address(self.addresses[name])
        array: Array = np.ctypeslib.as_array(memory).view(dtype)
        return array.reshape(shape)
