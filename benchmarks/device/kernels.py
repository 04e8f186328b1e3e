"""Which kernels a card spends its time in. Knows how libraries name theirs; knows no model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping

import torch
from torch.profiler import ProfilerActivity, profile

_KINDS: Mapping[str, tuple[str, ...]] = {
    "attention": ("flash", "fmha", "sdpa", "attention"),
    "products": ("gemm", "nvjet", "cutlass", "xmma", "wgmma", "cublas", "splitk"),
    "copies": ("memcpy", "memset", "copy_kernel"),
}


def seconds_by_kind(work: Callable[[], object]) -> Mapping[str, float]:
    """Seconds of kernels of one call: attention, matrix products, copies and conversions, everything else."""
    with profile(activities=[ProfilerActivity.CUDA], acc_events=True) as profiled:
        work()
        torch.cuda.synchronize()
    found: dict[str, float] = defaultdict(float)
    for event in profiled.key_averages():
        found[_kind(event.key.lower())] += event.self_device_time_total / 1e6
    return found


def _kind(kernel: str) -> str:
    return next((kind for kind, marks in _KINDS.items() if any(mark in kernel for mark in marks)), "other")
