"""A graph that was compiled as one plan: binds tensors, calls it, loads and frees its weights."""

from __future__ import annotations

from collections.abc import Mapping, Set
from concurrent.futures import Future, ThreadPoolExecutor

from engine.api.errors import EngineError, GraphFailed
from engine.bundle.graph_spec import GraphSpec
from engine.runtime.base import Tensor
from engine.runtime.compiled_plan import CompiledPlan
from engine.runtime.device_tensor import DeviceTensor
from engine.runtime.library_log import LoggedCall
from engine.runtime.trt_calls import TrtCalls


class TrtGraph:
    """A compiled plan and its entry in the manifest. Prefetching runs on a thread of the runtime."""

    def __init__(self, plan: CompiledPlan, spec: GraphSpec, calls: TrtCalls, loader: ThreadPoolExecutor) -> None:
        self._plan = plan
        self._spec = spec
        self._calls = calls
        self._loader = loader
        self._loading: Future[None] | None = None
        self._called_shapes: set[frozenset[tuple[str, tuple[int, ...]]]] = set()

    @property
    def spec(self) -> GraphSpec:
        """The graph's entry in the manifest."""
        return self._spec

    def prefetch(self) -> None:
        """See ``Graph.prefetch``."""
        if self._loading is None and not self._plan.is_loaded:
            self._loading = self._loader.submit(self._plan.load)

    def unload(self) -> None:
        """See ``Graph.unload``. Waits for a running prefetch."""
        loading, self._loading = self._loading, None
        if loading is not None:
            loading.exception()  # whatever it was, nothing is to be loaded any more
        self._plan.unload()

    def run(self, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
        """See ``Graph.run``."""
        self._wait_for_weights()
        calls, tensors = self._calls, self._checked({**inputs, **outputs})
        with calls.lock:
            calls.device.make_current()
            with calls.logged() as logged:
                self._enqueue(tensors, inputs.keys(), logged)
            calls.stream.wait()
            calls.memory_bytes()
            shapes = frozenset((name, tensor.shape) for name, tensor in tensors.items())
            if shapes not in self._called_shapes:  # the call compiled kernels, which a crash must not lose
                self._called_shapes.add(shapes)
                calls.keep_kernels()

    def _enqueue(self, tensors: Mapping[str, DeviceTensor], input_names: Set[str], logged: LoggedCall) -> None:
        calls, context = self._calls, self._plan.context
        for name, tensor in tensors.items():  # inputs first: the outputs' shapes follow from theirs
            self._bind(name, tensor, logged, is_input=name in input_names)
        scratch_bytes = context.update_device_memory_size_for_shapes()
        context.set_device_memory(calls.scratch(scratch_bytes).address, scratch_bytes)
        if not context.execute_async_v3(calls.stream.handle):
            raise self._failure(logged, "the call was refused")

    def _wait_for_weights(self) -> None:
        loading, self._loading = self._loading, None
        if loading is not None:
            loading.result()
        self._plan.load()

    def _checked(self, tensors: Mapping[str, Tensor]) -> dict[str, DeviceTensor]:
        engine = self._plan.engine
        wanted = {engine.get_tensor_name(index) for index in range(engine.num_io_tensors)}
        if wanted != set(tensors):
            different = ", ".join(sorted(wanted ^ set(tensors)))
            raise GraphFailed(f"graph {self._spec.file}: plan and call differ in {different}; export it again")
        own = {name: tensor for name, tensor in tensors.items() if isinstance(tensor, DeviceTensor)}
        if len(own) < len(tensors):
            raise TypeError("a tensor of another runtime was given to TensorRT")
        return own

    def _bind(self, name: str, tensor: DeviceTensor, logged: LoggedCall, *, is_input: bool) -> None:
        context, engine = self._plan.context, self._plan.engine
        if engine.get_tensor_dtype(name) != self._calls.dtype(tensor.dtype):
            raise GraphFailed(f"graph {self._spec.file}: {name} is {tensor.dtype}, not {engine.get_tensor_dtype(name)}")
        if is_input and not context.set_input_shape(name, tensor.shape):
            raise self._failure(logged, f"{name} cannot have the shape {list(tensor.shape)}")
        if not is_input and tuple(context.get_tensor_shape(name)) != tensor.shape:
            expected = list(context.get_tensor_shape(name))
            raise GraphFailed(f"graph {self._spec.file}: {name} has the shape {expected}, not {list(tensor.shape)}")
        if not context.set_tensor_address(name, tensor.address):
            raise self._failure(logged, f"{name} cannot be bound")

    def _failure(self, logged: LoggedCall, what: str) -> EngineError:
        return logged.failure(f"graph {self._spec.file}: {what}")
