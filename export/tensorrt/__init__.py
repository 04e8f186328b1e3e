"""Graphs become plans for cards, ahead of time and without a card. Knows ONNX files and the compiler; no checkpoint.

``compile_plans`` is the way in. Each plan is built by a process of its own (``child``), so that whatever the compiler
does there, a crash or a kill for memory, ends as one sentence here.
"""

from __future__ import annotations

from export.tensorrt.axes import AxisRange, graph_axes
from export.tensorrt.plans import compile_plans
from export.tensorrt.targets import TARGETS, Target, find_target

__all__ = ["TARGETS", "AxisRange", "Target", "compile_plans", "find_target", "graph_axes"]
