"""A host without memory: ONNX Runtime on the CPU says so as every runtime does, and works on."""

from __future__ import annotations

import numpy as np
import pytest

from engine.api.errors import OutOfMemory
from engine.runtime.ort import OrtRuntime

_MORE_THAN_ADDRESSES = 1 << 60


def test_a_buffer_that_the_host_cannot_hold_is_lack_of_memory() -> None:
    runtime = OrtRuntime(thread_count=1)
    with pytest.raises(OutOfMemory, match="the host ran out of memory"):
        runtime.zeros((_MORE_THAN_ADDRESSES,), "float32")
    assert np.array_equal(runtime.zeros((2, 3)).to_host(), np.zeros((2, 3), np.float32))
