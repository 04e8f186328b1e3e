"""A fake ``tensorrt_rtx``, as far as the engine uses it: a plan is a small JSON file, and ONNX Runtime computes it.

A manifest names this module as its compiler, so the engine imports it like the real one. Weights take memory of the GPU
that ``engine.runtime.cuda`` sees, which in tests is ``tests.fake_cuda``.
"""

from __future__ import annotations

import ctypes
import enum
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from engine.runtime import cuda
from engine.runtime.base import Array

__version__ = "9.9.9"

_OF_ORT = {"tensor(float)": "FLOAT", "tensor(float16)": "HALF", "tensor(int64)": "INT64"}
_OF_NUMPY = {"FLOAT": np.float32, "HALF": np.float16, "INT64": np.int64}
SCRATCH_BYTES = 4096


def write_plan(
    file: Path, graph: Path, weight_bytes: int, version: str = __version__, capability: str = "sm_86"
) -> None:
    """Writes a fake plan for a graph."""
    plan = {"graph": str(graph), "weight_bytes": weight_bytes, "version": version, "capability": capability}
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


class DataType(enum.Enum):
    FLOAT = 0
    HALF = 1
    BF16 = 2
    INT64 = 3


class ExecutionContextAllocationStrategy(enum.Enum):
    STATIC = 0
    USER_MANAGED = 1


class EngineValidity(enum.Enum):
    VALID = 0
    INVALID = 2


class EngineInvalidityDiagnostics(enum.IntFlag):
    VERSION_MISMATCH = 1
    UNSUPPORTED_CC = 2
    MALFORMED_ENGINE = 32


class IRuntimeCache:
    def __init__(self) -> None:
        self.kernels: set[str] = set()

    def serialize(self) -> bytes:
        return json.dumps(sorted(self.kernels)).encode()

    def deserialize(self, content: bytes) -> bool:
        try:
            self.kernels = set(json.loads(content))
        except ValueError:
            return False
        return True


class RuntimeConfig:
    def __init__(self) -> None:
        self.cache: IRuntimeCache | None = None
        self.strategy = ExecutionContextAllocationStrategy.STATIC

    def create_runtime_cache(self) -> IRuntimeCache:
        return IRuntimeCache()

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
            self.logger.log(ILogger.ERROR, "the graph behind this plan is gone")
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
        self.cuda = cuda.cudart()

    def __del__(self) -> None:
        if self.weights is not None:
            self.cuda.cudaFree(self.weights)

    def load_weights(self, content: Any) -> bool:
        assert bytes(content) == json.dumps(self.plan).encode(), "weights come from the plan that was opened"
        assert self.weights is None, "weights are loaded twice"
        status, self.weights = self.cuda.cudaMalloc(self.plan["weight_bytes"])
        if self.weights is None:
            self.logger.log(ILogger.ERROR, f"Cuda Runtime (out of memory) {status!r}")
        return self.weights is not None

    def unload_weights(self) -> bool:
        assert self.weights is not None, "weights are freed twice"
        self.cuda.cudaFree(self.weights)
        self.weights = None
        return True

    def create_runtime_config(self) -> RuntimeConfig:
        return RuntimeConfig()

    def create_execution_context(self, config: RuntimeConfig) -> Context:
        return Context(self, config)

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
        self.engine, self.config = engine, config
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.addresses: dict[str, int] = {}
        self.scratch = (0, 0)

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        node = next(node for node in self.engine.session.get_inputs() if node.name == name)
        fits = len(node.shape) == len(shape) and all(
            isinstance(own, str) or own == given for own, given in zip(node.shape, shape, strict=True)
        )
        if not fits:
            self.engine.logger.log(ILogger.ERROR, f"{name} must be {node.shape}")
        self.shapes[name] = shape
        return fits

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        node = next(node for node in self.engine.session.get_outputs() if node.name == name)
        inputs = [(item.shape, self.shapes[item.name]) for item in self.engine.session.get_inputs()]
        lengths = {axis: length for shape, given in inputs for axis, length in zip(shape, given, strict=True)}
        return tuple(lengths.get(axis, 1) if isinstance(axis, str) else axis for axis in node.shape)

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def update_device_memory_size_for_shapes(self) -> int:
        return SCRATCH_BYTES

    def set_device_memory(self, address: int, size: int) -> None:
        self.scratch = (address, size)

    def execute_async_v3(self, stream: int) -> bool:
        assert stream == 7
        assert self.engine.weights is not None, "a plan without weights was run"
        assert self.scratch[0], "a context without memory was run"
        if self.config.cache is not None:
            self.config.cache.kernels.add(Path(self.engine.plan["graph"]).name)
        session = self.engine.session
        inputs = {node.name: self._array(node.name, self.shapes[node.name]) for node in session.get_inputs()}
        names = [node.name for node in session.get_outputs()]
        for name, value in zip(names, session.run(names, inputs), strict=True):
            np.copyto(self._array(name, value.shape), value)
        return True

    def _array(self, name: str, shape: tuple[int, ...]) -> Array:
        dtype = np.dtype(_OF_NUMPY[self.engine.dtypes[name].name])
        memory = (ctypes.c_ubyte * (math.prod(shape) * dtype.itemsize)).from_address(self.addresses[name])
        array: Array = np.ctypeslib.as_array(memory).view(dtype)
        return array.reshape(shape)
