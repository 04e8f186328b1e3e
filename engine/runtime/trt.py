"""The TensorRT runtime on one GPU; cuda-python copies data, so serving needs no torch.

Graphs run one after another, so all contexts share one scratch buffer: the GPU holds the largest of their activations,
not the sum. A call returns when its results are complete.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Lock
from typing import Any

from engine.api.errors import BundleInvalid, EngineError, GraphFailed
from engine.bundle.crossing import Crossing, crossing_bytes
from engine.bundle.graph_spec import EngineSpec, GraphSpec, TensorDtype
from engine.runtime.base import PROMPT_ROW_COUNTS, Array, CallShapes, Tensor
from engine.runtime.compiled_plan import CompiledPlan, PlanLoading
from engine.runtime.cuda import DeviceBuffer, Stream
from engine.runtime.device_tensor import DeviceTensor
from engine.runtime.gpu import Gpu, engine_for_gpu, present_gpu
from engine.runtime.kernel_cache import KernelCache
from engine.runtime.library_log import LoggedCall
from engine.runtime.trt_chain import TrtChain
from engine.runtime.trt_library import TrtLibrary
from engine.runtime.weight_staging import WeightStaging

_DTYPES: Mapping[TensorDtype, str] = {"float32": "FLOAT", "float16": "HALF", "bfloat16": "BF16", "int64": "INT64"}


class TrtRuntime:
    """``module_name`` is ``tensorrt_rtx`` or ``tensorrt``; kernels are kept in ``cache_folder``, if there is one.

    ``gpu`` None is the first GPU. Raises ``DeviceUnavailable`` if GPU, driver or library are missing.
    """

    def __init__(self, module_name: str, cache_folder: Path | None, gpu: Gpu | None = None) -> None:
        self.gpu: Gpu = present_gpu() if gpu is None else gpu
        self.device = self.gpu.device
        self.device.use_blocking_waits()
        self._library = TrtLibrary(module_name, self.device)
        self.stream = Stream(self.device)
        file = f"{module_name}-{self._library.version}-{self.gpu.slug}.kernels"
        self._kernels = KernelCache(None if cache_folder is None else cache_folder / file, self._library.log)
        staging, weight_stream = WeightStaging(self.device), Stream(self.device)
        self._loading = PlanLoading(self._library, self._kernels, staging, weight_stream, self.device)
        self._scratch = DeviceBuffer(0, self.device)
        self._crossing = DeviceBuffer(0, self.device)
        self._opening = Lock()
        self.calling = Lock()  # the scorer's graphs are called from other threads than the job's
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="prefetch")
        self._peak_bytes = 0

    @property
    def call_shapes(self) -> CallShapes:
        """See ``Runtime.call_shapes``."""
        return CallShapes(prediction_count=1, prompt_row_counts=PROMPT_ROW_COUNTS)

    @property
    def name(self) -> str:
        """Library, version and device."""
        gpu = self.gpu
        return f"{self._library.name} {self._library.version} {gpu.name} ({gpu.compute_capability})"

    def load(self, folder: Path, spec: GraphSpec) -> TrtGraph | TrtChain:
        """See ``Runtime.load``."""
        engine = self._engine_for_gpu(spec)
        if engine.parts:
            graphs = [self.load(folder, spec.of_part(engine, part)) for part in engine.parts]
            return TrtChain(spec, engine.parts, graphs, self._crossing_tensors)
        with self._opening:  # deferring is a state of the library between two calls
            try:
                plan = CompiledPlan(folder / engine.file, self._loading)
                plan.load()
            except GraphFailed as error:
                raise BundleInvalid(f"{folder / engine.file}: {error}; export the checkpoint again") from error
            with self.calling:
                self._kernels.save()
        return TrtGraph(plan, spec, self, self._loader)

    def upload(self, array: Array) -> DeviceTensor:
        """A buffer with a copy of the array."""
        return DeviceTensor.from_host(array, self.stream)

    def zeros(self, shape: tuple[int, ...], dtype: TensorDtype = "float32") -> DeviceTensor:
        """A buffer of zeros."""
        return DeviceTensor.zeros(shape, dtype, self.stream)

    def trim(self) -> None:
        """Frees the buffers for scratch and for what crosses. The next call allocates one of its own size."""
        with self.calling:
            self.stream.wait()
            self._scratch = DeviceBuffer(0, self.device)
            self._crossing = DeviceBuffer(0, self.device)

    def memory_bytes(self) -> int:
        """GPU memory in use by all processes."""
        now = self.device.used_bytes()
        self._peak_bytes = max(self._peak_bytes, now)
        return now

    def peak_memory_bytes(self) -> int:
        """The highest ``memory_bytes`` after any call."""
        self.memory_bytes()
        return self._peak_bytes

    def close(self) -> None:
        """Saves the kernels that this process compiled."""
        with self.calling:
            self._kernels.save()
        self._kernels.wait()

    def keep_kernels(self) -> None:
        """Saves the kernels after a call that compiled some. The caller holds ``calling``."""
        self._kernels.save()

    def scratch(self, byte_count: int) -> DeviceBuffer:
        """The buffer for activations, of at least this size. A later call may replace it."""
        if byte_count > self._scratch.byte_count:
            self.stream.wait()
            self._scratch = DeviceBuffer(0, self.device)  # before the new one: both together may not fit
            self._scratch = DeviceBuffer(byte_count, self.device)
        return self._scratch

    def logged_call(self) -> AbstractContextManager[LoggedCall]:
        """Collects what the library logs during a call."""
        return self._library.log.call()

    def dtype(self, name: TensorDtype) -> Any:
        """The library's constant for a dtype."""
        return getattr(self._library.module.DataType, _DTYPES[name])

    def _crossing_tensors(self, places: Mapping[str, Crossing]) -> dict[str, DeviceTensor]:
        """The tensors that cross between the parts of a graph, in a buffer that all of them share."""
        byte_count = crossing_bytes(places)
        if byte_count > self._crossing.byte_count:
            self._crossing = DeviceBuffer(0, self.device)  # before the new one: both together may not fit
            self._crossing = DeviceBuffer(byte_count, self.device)

        def tensor(item: Crossing) -> DeviceTensor:
            dtype = item.spec.dtype
            return DeviceTensor(item.shape, dtype, self.stream, buffer=self._crossing, offset=item.offset)

        return {name: tensor(item) for name, item in places.items()}

    def _engine_for_gpu(self, spec: GraphSpec) -> EngineSpec:
        engine, library = engine_for_gpu(spec, self.gpu), self._library
        if (engine.compiler, engine.compiler_version) != (library.name, library.version):
            package = engine.compiler.replace("_", "-")
            raise BundleInvalid(
                f"{engine.file} was compiled by {engine.compiler} {engine.compiler_version}, this machine has "
                f"{library.name} {library.version}, and a plan runs only on the version that compiled it; "
                f"install {package}=={engine.compiler_version}, or export the checkpoint again"
            )
        return engine


class TrtGraph:
    """A compiled plan and its entry in the manifest. Prefetching runs on a thread of the runtime."""

    def __init__(self, plan: CompiledPlan, spec: GraphSpec, runtime: TrtRuntime, loader: ThreadPoolExecutor) -> None:
        self._plan = plan
        self._spec = spec
        self._runtime = runtime
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
        runtime, tensors = self._runtime, self._checked({**inputs, **outputs})
        with runtime.calling:
            runtime.device.make_current()
            with runtime.logged_call() as logged:
                self._enqueue(tensors, inputs.keys(), logged)
            runtime.stream.wait()
            runtime.memory_bytes()
            shapes = frozenset((name, tensor.shape) for name, tensor in tensors.items())
            if shapes not in self._called_shapes:  # the call compiled kernels, which a crash must not lose
                self._called_shapes.add(shapes)
                runtime.keep_kernels()

    def _enqueue(self, tensors: Mapping[str, DeviceTensor], input_names: Set[str], logged: LoggedCall) -> None:
        runtime, context = self._runtime, self._plan.context
        for name, tensor in tensors.items():  # inputs first: the outputs' shapes follow from theirs
            self._bind(name, tensor, logged, is_input=name in input_names)
        scratch_bytes = context.update_device_memory_size_for_shapes()
        context.set_device_memory(runtime.scratch(scratch_bytes).address, scratch_bytes)
        if not context.execute_async_v3(runtime.stream.handle):
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
        if engine.get_tensor_dtype(name) != self._runtime.dtype(tensor.dtype):
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
