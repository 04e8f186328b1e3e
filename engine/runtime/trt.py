"""The TensorRT runtime on one GPU; cuda-python copies data, so serving needs no torch.

Graphs run one after another, so all contexts share one scratch buffer: the GPU holds the largest of their activations,
not the sum. A call returns when its results are complete.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

from engine.api.errors import BundleInvalid, GraphFailed
from engine.bundle.graph_spec import EngineSpec, GraphSpec, TensorDtype
from engine.runtime.base import PROMPT_ROW_COUNTS, Array, CallShapes
from engine.runtime.compiled_plan import CompiledPlan, PlanLoading
from engine.runtime.cuda import Stream
from engine.runtime.device_tensor import DeviceTensor
from engine.runtime.gpu import Gpu, engine_for_gpu, present_gpu
from engine.runtime.kernel_cache import KernelCache
from engine.runtime.trt_calls import TrtCalls
from engine.runtime.trt_chain import TrtChain
from engine.runtime.trt_graph import TrtGraph
from engine.runtime.trt_library import TrtLibrary
from engine.runtime.weight_staging import WeightStaging


class TrtRuntime:
    """``module_name`` is ``tensorrt_rtx`` or ``tensorrt``; kernels are kept in ``cache_folder``, if there is one.

    ``gpu`` None is the first GPU. Raises ``DeviceUnavailable`` if GPU, driver or library are missing.
    """

    def __init__(self, module_name: str, cache_folder: Path | None, gpu: Gpu | None = None) -> None:
        self.gpu: Gpu = present_gpu() if gpu is None else gpu
        self.device = self.gpu.device
        self.device.use_blocking_waits()
        self._library = TrtLibrary(module_name, self.device)
        file = f"{module_name}-{self._library.version}-{self.gpu.slug}.kernels"
        self._kernels = KernelCache(None if cache_folder is None else cache_folder / file, self._library.log)
        staging, weight_stream = WeightStaging(self.device), Stream(self.device)
        self._loading = PlanLoading(self._library, self._kernels, staging, weight_stream, self.device)
        self._calls = TrtCalls(self.device, self._library, self._kernels)
        self.stream = self._calls.stream
        self._opening = Lock()
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="prefetch")

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
            return TrtChain(spec, engine.parts, graphs, self._calls.crossing_tensors)
        with self._opening:  # deferring is a state of the library between two calls
            try:
                plan = CompiledPlan(folder / engine.file, self._loading)
                plan.load()
            except GraphFailed as error:
                raise BundleInvalid(f"{folder / engine.file}: {error}; export the checkpoint again") from error
            with self._calls.lock:
                self._calls.keep_kernels()
        return TrtGraph(plan, spec, self._calls, self._loader)

    def upload(self, array: Array) -> DeviceTensor:
        """A buffer with a copy of the array."""
        return DeviceTensor.from_host(array, self.stream)

    def zeros(self, shape: tuple[int, ...], dtype: TensorDtype = "float32") -> DeviceTensor:
        """A buffer of zeros."""
        return DeviceTensor.zeros(shape, dtype, self.stream)

    def trim(self) -> None:
        """See ``Runtime.trim``."""
        self._calls.trim()

    def memory_bytes(self) -> int:
        """GPU memory in use by all processes."""
        return self._calls.memory_bytes()

    def peak_memory_bytes(self) -> int:
        """The highest ``memory_bytes`` after any call."""
        return self._calls.peak_memory_bytes()

    def close(self) -> None:
        """Saves the kernels that this process compiled."""
        with self._calls.lock:
            self._calls.keep_kernels()
        self._kernels.wait()

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
