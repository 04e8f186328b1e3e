"""Tensors in GPU memory."""

from __future__ import annotations

import math

import numpy as np

from engine.bundle.graph_spec import DTYPE_BYTES, TensorDtype
from engine.runtime.base import Array
from engine.runtime.cuda import DeviceBuffer, Stream

_UPLOADED: dict[str, TensorDtype] = {"float32": "float32", "float16": "float16", "int64": "int64"}


class DeviceTensor:
    """A buffer on the GPU with a shape and a dtype. Its copies run in the order of the stream, as graph calls do."""

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: TensorDtype,
        stream: Stream,
        *,
        buffer: DeviceBuffer | None = None,
        offset: int = 0,
    ) -> None:
        """Takes memory of its own, or ``buffer`` from byte ``offset`` on."""
        self.shape = shape
        self.dtype = dtype
        self._stream = stream
        self._byte_count = math.prod(shape) * DTYPE_BYTES[dtype]
        self._buffer = DeviceBuffer(self._byte_count, stream.device) if buffer is None else buffer
        self._offset = offset

    @classmethod
    def from_host(cls, array: Array, stream: Stream) -> DeviceTensor:
        """Copies an array of float32, float16 or int64 to the GPU. Raises ``TypeError`` for other dtypes."""
        dtype = _UPLOADED.get(array.dtype.name)
        if dtype is None:
            raise TypeError(f"arrays of {array.dtype.name} are not uploaded: graphs take {', '.join(_UPLOADED)}")
        tensor = cls(array.shape, dtype, stream)
        tensor.update(array)
        return tensor

    @classmethod
    def zeros(cls, shape: tuple[int, ...], dtype: TensorDtype, stream: Stream) -> DeviceTensor:
        """A tensor of zeros."""
        tensor = cls(shape, dtype, stream)
        stream.fill_zeros(tensor._buffer)
        return tensor

    def row(self, index: int) -> DeviceTensor:
        """See ``Tensor.row``."""
        offset = self._offset + index * (self._byte_count // self.shape[0])
        return DeviceTensor((1, *self.shape[1:]), self.dtype, self._stream, buffer=self._buffer, offset=offset)

    def update(self, array: Array) -> None:
        """See ``Tensor.update``."""
        contiguous = np.ascontiguousarray(array)
        self._stream.to_device(self.address, contiguous.ctypes.data, self._byte_count)

    @property
    def address(self) -> int:
        """Address of the content on the GPU."""
        return self._buffer.address + self._offset

    def to_host(self) -> Array:
        """A copy of the content. numpy has no bfloat16, so that becomes float32."""
        raw = np.uint16 if self.dtype == "bfloat16" else np.dtype(self.dtype)
        host = np.empty(self.shape, raw)
        self._stream.to_host(host.ctypes.data, self.address, self._byte_count)
        # bfloat16 is the upper half of a float32.
        return (host.astype(np.uint32) << 16).view(np.float32) if self.dtype == "bfloat16" else host
