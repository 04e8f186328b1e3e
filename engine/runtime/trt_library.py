"""The TensorRT library: its module, its log messages, and how it opens a plan.

``tensorrt_rtx`` (TensorRT for RTX) and classic ``tensorrt`` share one API; properties tell what only one of them can
do.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

from engine.api.errors import DeviceUnavailable
from engine.runtime.cuda import Device
from engine.runtime.library_log import LibraryLog
from engine.runtime.weight_staging import PlanReader

# Flags of ``EngineInvalidityDiagnostics`` and what to do about them.
_REMEDIES = {
    "VERSION_MISMATCH": "another version of TensorRT compiled it; install that version or export the checkpoint again",
    "UNSUPPORTED_CC": "it was compiled for another GPU; export the checkpoint for this one",
    "OLD_CUDA_DRIVER": "the NVIDIA driver is too old; update it",
    "OLD_CUDA_RUNTIME": "the CUDA runtime is too old; update it",
    "INSUFFICIENT_GPU_MEMORY": "the GPU has too little memory; serve a lower precision or a smaller size",
    "MALFORMED_ENGINE": "it is no plan of this library; copy the bundle again, whole",
    "CUDA_ERROR": "CUDA does not work here; see `nvidia-smi`",
}


class TrtLibrary:
    """An imported TensorRT module with its logger and runtime.

    Raises ``DeviceUnavailable`` if the module is missing.
    """

    def __init__(self, module_name: str, device: Device) -> None:
        try:
            self.module: Any = importlib.import_module(module_name)
        except ImportError as error:
            raise DeviceUnavailable(
                f"{module_name} cannot be imported ({error}); install it with: pip install 'stillcue[server,tensorrt]'"
            ) from error
        self.name = module_name
        self.version: str = self.module.__version__
        self.log = LibraryLog(module_name, device)
        self._runtime = self.module.Runtime(self._logger())

    @property
    def defers_weights(self) -> bool:
        """True if a plan can be opened without its weights."""
        return hasattr(self._runtime, "defer_weights_loading")

    @property
    def keeps_kernels(self) -> bool:
        """True if kernels are compiled at run time and can be cached."""
        return hasattr(self.module, "IRuntimeCache")

    @property
    def streams_weights(self) -> bool:
        """True if weights can be read from a file piece by piece."""
        return self.defers_weights and hasattr(self.module, "IStreamReaderV2")

    def fault_of(self, content: Any) -> str | None:
        """Why a plan cannot be used on this GPU, with the remedy; None if it can, or if the library cannot tell."""
        if not hasattr(self._runtime, "get_engine_validity"):
            return None
        with self.log.call() as logged:
            validity, diagnostics = self._runtime.get_engine_validity(content)
        if validity != self.module.EngineValidity.INVALID:
            return None
        flags = self.module.EngineInvalidityDiagnostics
        found = [text for name, text in _REMEDIES.items() if int(diagnostics) & int(getattr(flags, name, 0))]
        return "; ".join(found or logged.errors) or "TensorRT gave no reason"

    def runtime_config(self, engine: Any) -> Any:
        """The configuration of an execution context: its memory comes from the caller, kernels from the first call on.

        By default a graph with open axes runs slow kernels at a new shape, and changes to fast ones, with other last
        bits, once these are compiled in the background. Here the first call of a shape waits for its kernels.
        """
        config = engine.create_runtime_config()
        config.set_execution_context_allocation_strategy(self.module.ExecutionContextAllocationStrategy.USER_MANAGED)
        if hasattr(self.module, "DynamicShapesKernelSpecializationStrategy"):
            strategies = self.module.DynamicShapesKernelSpecializationStrategy
            config.dynamic_shapes_kernel_specialization_strategy = strategies.EAGER
        return config

    def deserialize(self, content: Any) -> Any:
        """Opens a plan, without its weights if the library can defer them; None on failure. Not thread-safe."""
        if self.defers_weights:
            self._runtime.defer_weights_loading = True
        return self._runtime.deserialize_cuda_engine(content)

    def stream_reader(self, reader: PlanReader) -> Any:
        """A plan's content as ``load_weights_async`` takes it. Raises ``RuntimeError`` without a driver."""
        base, positions = self.module.IStreamReaderV2, self.module.SeekPosition
        origins = {positions.SET: os.SEEK_SET, positions.CUR: os.SEEK_CUR, positions.END: os.SEEK_END}

        class Reader(base):  # type: ignore[misc,valid-type]
            def __init__(self) -> None:
                base.__init__(self)

            def read(self, byte_count: int, stream: int) -> memoryview:  # noqa: ARG002  the library copies on its own
                return reader.read(byte_count)

            def seek(self, offset: int, origin: Any) -> bool:
                return reader.seek(offset, origins[origin])

        return Reader()

    def _logger(self) -> Any:
        base, log = self.module.ILogger, self.log
        serious = (base.ERROR, base.INTERNAL_ERROR)

        class Log(base):  # type: ignore[misc,valid-type]
            def __init__(self) -> None:
                base.__init__(self)

            def log(self, severity: Any, text: str) -> None:
                if severity in (*serious, base.WARNING):
                    log.add(text, is_error=severity in serious)

        return Log()
