"""The TensorRT library: its module, its log messages, and how it opens a plan.

``tensorrt_rtx`` (TensorRT for RTX) and classic ``tensorrt`` share one API; properties tell what only one of them can
do.
"""

from __future__ import annotations

import importlib
import logging
from typing import Any

from engine.api.errors import DeviceUnavailable

_log = logging.getLogger(__name__)

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

    def __init__(self, module_name: str) -> None:
        try:
            self.module: Any = importlib.import_module(module_name)
        except ImportError as error:
            raise DeviceUnavailable(
                f"{module_name} cannot be imported ({error}); install it with: pip install 'stillcue[server,tensorrt]'"
            ) from error
        self.name = module_name
        self.version: str = self.module.__version__
        self._errors: list[str] = []
        self._runtime = self.module.Runtime(self._logger())

    @property
    def defers_weights(self) -> bool:
        """True if a plan can be opened without its weights."""
        return hasattr(self._runtime, "defer_weights_loading")

    @property
    def keeps_kernels(self) -> bool:
        """True if kernels are compiled at run time and can be cached."""
        return hasattr(self.module, "IRuntimeCache")

    def fault_of(self, content: Any) -> str | None:
        """Why a plan cannot be used on this GPU, with the remedy; None if it can, or if the library cannot tell."""
        if not hasattr(self._runtime, "get_engine_validity"):
            return None
        validity, diagnostics = self._runtime.get_engine_validity(content)
        if validity != self.module.EngineValidity.INVALID:
            return None
        flags = self.module.EngineInvalidityDiagnostics
        found = [text for name, text in _REMEDIES.items() if int(diagnostics) & int(getattr(flags, name, 0))]
        return "; ".join(found) or self.last_error()

    def deserialize(self, content: Any) -> Any:
        """Opens a plan, without its weights if the library can defer them; None on failure. Not thread-safe."""
        if self.defers_weights:
            self._runtime.defer_weights_loading = True
        return self._runtime.deserialize_cuda_engine(content)

    def last_error(self) -> str:
        """The newest error message of the library; each is returned once."""
        return self._errors.pop() if self._errors else "TensorRT gave no reason"

    def _logger(self) -> Any:
        base, name, errors = self.module.ILogger, self.name, self._errors
        serious = (base.ERROR, base.INTERNAL_ERROR)

        class Log(base):  # type: ignore[misc,valid-type]
            def __init__(self) -> None:
                base.__init__(self)

            def log(self, severity: Any, text: str) -> None:
                if severity in serious:
                    errors[:-9] = []  # a server runs for months
                    errors.append(text)
                    _log.error("%s: %s", name, text)
                elif severity == base.WARNING:
                    _log.warning("%s: %s", name, text)

        return Log()
