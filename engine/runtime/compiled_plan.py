"""A compiled plan on the GPU: opened once, its weights brought and freed as often as needed. Knows TensorRT's API.

TensorRT for RTX opens a plan without its weights and then loads and unloads them under contexts that stay. Classic
TensorRT cannot: there, the plan is opened with the first load and dropped with the unload.
"""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

from engine.api.errors import BundleInvalid, GraphFailed, OutOfMemory
from engine.runtime.kernel_cache import KernelCache
from engine.runtime.trt_library import TrtLibrary


class CompiledPlan:
    """One plan file. Not safe for calls from several threads at once; its graph sees to that."""

    def __init__(self, library: TrtLibrary, file: Path, kernels: KernelCache) -> None:
        self._library = library
        self._file = file
        self._kernels = kernels
        self._content = _mapped(file)
        fault = library.fault_of(self._content)
        if fault is not None:
            raise BundleInvalid(f"{file} cannot be used here: {fault}")
        self._engine: Any = None
        self._context: Any = None
        self._is_loaded = False
        if library.defers_weights:
            self._open()

    @property
    def is_loaded(self) -> bool:
        """Whether the weights are on the GPU."""
        return self._is_loaded

    @property
    def context(self) -> Any:
        """What runs the plan. Only while it is loaded."""
        return self._context

    @property
    def engine(self) -> Any:
        """Names, dtypes and shapes of inputs and outputs. Only while it is loaded."""
        return self._engine

    def load(self) -> None:
        """Brings the weights to the GPU and waits for them. Raises ``OutOfMemory`` or ``GraphFailed``."""
        if self._is_loaded:
            return
        if self._engine is None:
            self._open()
        if self._library.defers_weights and not self._engine.load_weights(self._content):
            raise self._failure("its weights could not be loaded")
        self._is_loaded = True

    def unload(self) -> None:
        """Frees the weights. No call may be under way."""
        if not self._is_loaded:
            return
        self._is_loaded = False
        if not self._library.defers_weights:
            self._context = self._engine = None
        elif not self._engine.unload_weights():
            raise self._failure("its weights could not be freed")

    def _open(self) -> None:
        self._engine = self._library.deserialize(self._content)
        if self._engine is None:
            raise self._failure("it could not be opened")
        config = self._engine.create_runtime_config()
        config.set_execution_context_allocation_strategy(
            self._library.module.ExecutionContextAllocationStrategy.USER_MANAGED
        )
        if self._library.keeps_kernels:
            self._kernels.attach(config)
        self._context = self._engine.create_execution_context(config)
        if self._context is None:
            raise self._failure("it gives no execution context")

    def _failure(self, what: str) -> OutOfMemory | GraphFailed:
        reason = self._library.last_error()
        if "out of memory" in reason.lower() or "outofmemory" in reason.lower():
            return OutOfMemory("the GPU ran out of memory; free it of other work, or serve a lower precision")
        return GraphFailed(f"plan {self._file.name}: {what}: {reason}")


def _mapped(file: Path) -> mmap.mmap:
    """The file's content without a copy of it: pages come as the library asks for them."""
    try:
        with file.open("rb") as stream:
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise BundleInvalid(f"cannot read {file}: {error.strerror}; copy the bundle again, whole") from error
    except ValueError as error:
        raise BundleInvalid(f"{file} is empty; copy the bundle again, whole") from error
