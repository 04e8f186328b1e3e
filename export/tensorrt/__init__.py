"""Compiles ONNX graphs to TensorRT engines (NVIDIA calls the files engine plans), ahead of time and without a GPU.

``compile_engines`` compiles each engine in a process of its own (``child``), so that a crash of the compiler or a kill
for memory becomes an ``ExportError``.
"""

from __future__ import annotations

from export.tensorrt.axes import AxisRange, graph_axes
from export.tensorrt.engines import compile_engines
from export.tensorrt.targets import TARGETS, Target, find_target

__all__ = ["TARGETS", "AxisRange", "Target", "compile_engines", "find_target", "graph_axes"]
