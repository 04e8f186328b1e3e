"""Sessions of ONNX Runtime, on the CPU and on CUDA alike. A runtime says how tensors are bound and what errors mean."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Protocol

import onnxruntime

from engine.api.errors import EngineError
from engine.bundle.graph_spec import GraphSpec
from engine.runtime.base import GraphNotLoaded, Tensor

onnxruntime.disable_telemetry_events()  # on Windows; on Linux ``engine.host.libraries`` prevents them

# A graph of one Identity, y = x, both float32 [1]: to call a session for what a call does beside.
IDENTITY = (
    b'\x08\x08:7\n\x10\n\x01x\x12\x01y"\x08Identity\x12\x01gZ\x0f\n\x01x\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01'
    b"b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\r"
)


class SessionHost(Protocol):
    """What sessions take from their runtime."""

    @property
    def loader(self) -> Executor | None:
        """Opens sessions in the background; None where nothing would overlap with that."""
        ...

    def open(self, model: Path | bytes) -> onnxruntime.InferenceSession:
        """Opens a session; raises the library's errors."""
        ...

    def bind(self, binding: onnxruntime.IOBinding, name: str, tensor: Tensor, *, is_input: bool) -> None:
        """Binds a tensor of this runtime. Raises ``TypeError`` for a tensor of another one."""
        ...

    def call(self, session: onnxruntime.InferenceSession, binding: onnxruntime.IOBinding) -> None:
        """Runs a session and returns when its results are complete; raises the library's errors."""
        ...

    def error(self, fault: Exception) -> EngineError:
        """The engine's error for one of the library, whose types are not public: the text tells what happened."""
        ...


class OrtGraph:
    """An inference session with bound inputs and outputs. ``unload`` drops the session, the next call opens another."""

    def __init__(self, host: SessionHost, folder: Path, spec: GraphSpec) -> None:
        self._host = host
        self._file = folder / spec.file
        self._spec = spec
        self._opening: Future[onnxruntime.InferenceSession] | None = None
        self._session: onnxruntime.InferenceSession | None = self._open()

    @property
    def spec(self) -> GraphSpec:
        """The graph's entry in the manifest."""
        return self._spec

    def run(self, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
        """See ``Graph.run``."""
        session = self._loaded()
        binding = session.io_binding()
        try:
            for name, tensor in inputs.items():
                self._host.bind(binding, name, tensor, is_input=True)
            for name, tensor in outputs.items():
                self._host.bind(binding, name, tensor, is_input=False)
            self._host.call(session, binding)
        except (EngineError, TypeError):
            raise
        except Exception as fault:
            raise self._host.error(RuntimeError(f"graph {self._spec.file} failed: {fault}")) from fault

    def prefetch(self) -> None:
        """See ``Graph.prefetch``. Blocks on a CPU."""
        if self._session is not None or self._opening is not None:
            return
        if self._host.loader is None:
            self._session = self._open()
        else:
            self._opening = self._host.loader.submit(self._open)

    def unload(self) -> None:
        """Drops the session and its weights. Waits for a running prefetch."""
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.exception()  # whatever it was, nothing is to be loaded any more
        self._session = None

    def _loaded(self) -> onnxruntime.InferenceSession:
        opening, self._opening = self._opening, None
        if opening is not None:
            self._session = opening.result()
        if self._session is None:
            self._session = self._open()
        return self._session

    def _open(self) -> onnxruntime.InferenceSession:
        try:
            return self._host.open(self._file)
        except Exception as fault:
            ...
