"""A compiled TensorRT plan: opened once, its weights loaded and freed as often as needed.

TensorRT for RTX opens a plan without its weights, then loads and unloads them while the execution contexts stay.
Classic TensorRT cannot: there, loading opens the plan and unloading drops it.
"""

from __future__ import annotations

import logging
import mmap
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.api.errors import BundleInvalid, EngineError, GraphFailed, OutOfMemory
from engine.runtime.cuda import Device, Stream
from engine.runtime.kernel_cache import KernelCache
from engine.runtime.library_log import LoggedCall
from engine.runtime.trt_library import TrtLibrary
from engine.runtime.weight_staging import WeightStaging

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PlanLoading:
    """What the plans of a runtime share: library, GPU, compiled kernels, and how weights get onto the GPU."""

    library: TrtLibrary
    kernels: KernelCache
    staging: WeightStaging
    stream: Stream  # for weights alone, so that a job's copies do not queue behind them
    device: Device


class CompiledPlan:
    """One plan file. Not thread-safe; its graph serialises the calls."""

    def __init__(self, file: Path, loading: PlanLoading) -> None:
        self._library = loading.library
        self._loading = loading
        self._file = file
        self._content = _mapped(file)
        loading.device.make_current()
        fault = self._library.fault_of(self._content)
        if fault is not None:
            raise BundleInvalid(f"{file} cannot be used here: {fault}")
        self._engine: Any = None
        self._context: Any = None
        self._is_loaded = False
        if self._library.defers_weights:
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
        """Loads the weights onto the GPU and waits for that. Raises ``OutOfMemory``, ``DeviceLost`` or ``GraphFailed``.

        The interpreter's lock is free meanwhile, but for the copies of single pieces.
        """
        if self._is_loaded:
            return
        self._loading.device.make_current()
        if self._engine is None:
            self._open()
        if self._library.defers_weights and not (self._library.streams_weights and self._stream_weights()):
            with self._library.log.call() as logged:
                if not self._engine.load_weights(self._content):
                    raise self._failure(logged, "its weights could not be loaded")
        self._is_loaded = True

    def unload(self) -> None:
        """Frees the weights. No call may be running."""
        if not self._is_loaded:
            return
        self._is_loaded = False
        self._loading.device.make_current()
        if not self._library.defers_weights:
            self._context = self._engine = None
            return
        with self._library.log.call() as logged:
            if not self._engine.unload_weights():
                raise self._failure(logged, "its weights could not be freed")

    def _stream_weights(self) -> bool:
        """Loads the weights through page-locked memory; False where that is not possible, and says why.

        Raises ``OutOfMemory`` of the GPU, ``DeviceLost``, or ``GraphFailed`` for a file that cannot be read.
        """
        loading = self._loading
        with ExitStack() as stack:
            try:
                reader = stack.enter_context(loading.staging.reader(self._file))
                source = self._library.stream_reader(reader)
            except (OSError, OutOfMemory, RuntimeError) as error:
                _log.warning("weights are copied without page-locked memory, which takes longer: %s", error)
                return False
            logged = stack.enter_context(self._library.log.call())
            if self._engine.load_weights_async(source, loading.stream.handle):
                loading.stream.wait()
                return True
            if reader.fault is not None:
                raise GraphFailed(f"plan {self._file.name}: it could not be read: {reader.fault.strerror}")
            failure = self._failure(logged, "its weights could not be streamed")
        if not isinstance(failure, GraphFailed):
            raise failure
        _log.warning("%s; they are copied in one piece, which takes longer", failure)
        return False

    def _open(self) -> None:
        with self._library.log.call() as logged:
            self._engine = self._library.deserialize(self._content)
            if self._engine is None:
                raise self._failure(logged, "it could not be opened")
            config = self._library.runtime_config(self._engine)
            if self._library.keeps_kernels:
                self._loading.kernels.attach(config)
            self._context = self._engine.create_execution_context(config)
            if self._context is None:
                raise self._failure(logged, "it gives no execution context")

    def _failure(self, logged: LoggedCall, what: str) -> EngineError:
        return logged.failure(f"plan {self._file.name}: {what}")


def _mapped(file: Path) -> mmap.mmap:
    """The file's content, memory-mapped: the library reads pages as it needs them."""
    try:
        with file.open("rb") as stream:
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise BundleInvalid(f"cannot read {file}: {error.strerror}; copy the bundle again, whole") from error
    except ValueError as error:
        raise BundleInvalid(f"{file} is empty; copy the bundle again, whole") from error
