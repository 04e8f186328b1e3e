"""Sessions of ONNX Runtime, on the CPU and on CUDA alike: their runtime binds tensors and tells what errors mean.

Beside this module only ``ort`` and ``ort_cuda`` import onnxruntime.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Protocol, TypeAlias

import onnxruntime

from engine.api.errors import EngineError, GraphFailed
from engine.bundle.graph_spec import GraphSpec
from engine.runtime.base import GraphNotLoaded, Tensor

onnxruntime.disable_telemetry_events()  # on Windows; on Linux ``engine.host.libraries`` prevents them

Session: TypeAlias = onnxruntime.InferenceSession
Binding: TypeAlias = onnxruntime.IOBinding


class SessionHost(Protocol):
    """What sessions need from their runtime. Errors of the library have no public types: their text tells."""

    @property
    def loader(self) -> Executor | None:
        """Opens sessions while others run; None where nothing would overlap with that."""
        ...

    @property
    def load_remedy(self) -> str:
        """What to do about a graph that cannot be loaded."""
        ...

    def open(self, model: Path) -> Session:
        """Opens a session."""
        ...

    def bind(self, binding: Binding, name: str, tensor: Tensor, *, is_input: bool) -> None:
        """Binds a tensor of this runtime. Raises ``TypeError`` for a tensor of another one."""
        ...

    def call(self, session: Session, binding: Binding) -> None:
        """Runs a session. Returns when its results are complete."""
        ...

    def error_of(self, text: str) -> EngineError:
        """The error of a text of the library; ``GraphFailed`` where it tells nothing more special."""
        ...


class OrtGraph:
    """An inference session with bound inputs and outputs. ``unload`` drops it; the next call opens another."""

    def __init__(self, host: SessionHost, folder: Path, spec: GraphSpec) -> None:
        self._host = host
        self._file = folder / spec.file
        self._spec = spec
        self._opening: Future[Session] | None = None
        self._session: Session | None = self._open()

    @property
    def spec(self) -> GraphSpec:
        """The graph's entry in the manifest."""
        return self._spec

    def run(self, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
        """See ``Graph.run``."""
        session = self._loaded()
        try:
            binding = session.io_binding()
            for name, tensor in inputs.items():
                self._host.bind(binding, name, tensor, is_input=True)
            for name, tensor in outputs.items():
                self._host.bind(binding, name, tensor, is_input=False)
            self._host.call(session, binding)
        except (EngineError, TypeError):
            raise
        except Exception as fault:
            raise self._host.error_of(f"graph {self._spec.file} failed: {fault}") from fault

    def prefetch(self) -> None:
        """See ``Graph.prefetch``. Blocks without a loader."""
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

    def _loaded(self) -> Session:
        opening, self._opening = self._opening, None
        if opening is not None:
            self._session = opening.result()
        if self._session is None:
            self._session = self._open()
        return self._session

    def _open(self) -> Session:
        try:
            return self._host.open(self._file)
        except EngineError:
            raise
        except Exception as fault:
            error = self._host.error_of(f"cannot load {self._file}: {fault}")
            if isinstance(error, GraphFailed):
                error = GraphNotLoaded(f"{error}; {self._host.load_remedy}")
            raise error from fault
