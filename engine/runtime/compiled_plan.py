"""A compiled TensorRT plan: opened once, its weights loaded and freed as often as needed.

TensorRT for RTX opens a plan without its weights, then loads and unloads them while the execution contexts stay.
Classic TensorRT cannot: there, loading opens the plan and unloading drops it.
"""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

from engine.api.errors import BundleInvalid, GraphFailed, OutOfMemory
from engine.runtime.kernel_cache import KernelCache
from engine.runtime.trt_library import TrtLibrary


class CompiledPlan:
    """One plan file. Not thread-safe; its graph serialises the calls."""

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
        """True while the weights are on the GPU."""
        return self._is_loaded

    @property
    def context(self) -> Any:
        """The execution context; only while the plan is loaded."""
        return self._context

    @property
    def engine(self) -> Any:
        """The TensorRT engine, with names, dtypes and shapes of inputs and outputs; only while the plan is loaded."""
        return self._engine

    def load(self) -> None:
        """Loads the weights onto the GPU and waits for that. Raises ``OutOfMemory`` or ``GraphFailed``."""
        if self._is_loaded:
            return
        if self._engine is None:
            self._open()
        if self._library.defers_weights and not self._engine.load_weights(self._content):
            raise self._failure("its weights could not be loaded")
        self._is_loaded = True

    def unload(self) -> None:
        """Frees the weights. No call may be running."""
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
    """The file's content, memory-mapped: the library reads pages as it needs them."""
    try:
        with file.open("rb") as stream:
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise BundleInvalid(f"cannot read {file}: {error.strerror}; copy the bundle again, whole") from error
    except ValueError as error:
        raise BundleInvalid(f"{file} is empty; copy the bundle again, whole") from error
