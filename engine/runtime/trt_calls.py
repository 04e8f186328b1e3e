"""What the calls of all TensorRT graphs of a runtime share: the GPU, its stream, scratch memory, the library's log."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from threading import Lock
from typing import Any

from engine.bundle.crossing import Crossing, crossing_bytes
from engine.bundle.graph_spec import TensorDtype
from engine.runtime.cuda import Device, DeviceBuffer, Stream
from engine.runtime.device_tensor import DeviceTensor
from engine.runtime.kernel_cache import KernelCache
from engine.runtime.library_log import LoggedCall
from engine.runtime.trt_library import TrtLibrary

_DTYPES: Mapping[TensorDtype, str] = {"float32": "FLOAT", "float16": "HALF", "bfloat16": "BF16", "int64": "INT64"}


class TrtCalls:
    """Calls run one after another, each under ``lock``: the scorer's come from other threads than the job's."""

    def __init__(self, device: Device, library: TrtLibrary, kernels: KernelCache) -> None:
        self.device = device
        self.stream = Stream(device)
        self.lock = Lock()
        self._library = library
        self._kernels = kernels
        self._scratch = DeviceBuffer(0, device)
        self._crossing = DeviceBuffer(0, device)
        self._peak_bytes = 0

    def trim(self) -> None:
        """Frees the buffers for scratch and for what crosses. The next call allocates one of its own size."""
        with self.lock:
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

    def scratch(self, byte_count: int) -> DeviceBuffer:
        """The buffer for activations, of at least this size. A later call may replace it."""
        if byte_count > self._scratch.byte_count:
            self.stream.wait()
            self._scratch = DeviceBuffer(0, self.device)  # before the new one: both together may not fit
            self._scratch = DeviceBuffer(byte_count, self.device)
        return self._scratch

    def crossing_tensors(self, places: Mapping[str, Crossing]) -> dict[str, DeviceTensor]:
        """The tensors that cross between the parts of a graph, in a buffer that all of them share."""
        byte_count = crossing_bytes(places)
        if byte_count > self._crossing.byte_count:
            self._crossing = DeviceBuffer(0, self.device)  # before the new one: both together may not fit
            self._crossing = DeviceBuffer(byte_count, self.device)

        def tensor(item: Crossing) -> DeviceTensor:
            dtype = item.spec.dtype
            return DeviceTensor(item.shape, dtype, self.stream, buffer=self._crossing, offset=item.offset)

        return {name: tensor(item) for name, item in places.items()}

    def keep_kernels(self) -> None:
        """Saves the compiled kernels. The caller holds ``lock``."""
        self.device.make_current()
        self._kernels.save()

    def logged(self) -> AbstractContextManager[LoggedCall]:
        """Collects what the library logs during a call."""
        return self._library.log.call()

    def dtype(self, name: TensorDtype) -> Any:
        """The library's constant for a dtype."""
        return getattr(self._library.module.DataType, _DTYPES[name])
