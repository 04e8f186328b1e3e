"""Seconds and bytes of work on a device. Knows torch's events and counters; knows no model."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor


def seconds_of(work: Callable[[], object], device: str, repeats: int, warmups: int = 1) -> float:
    """Median seconds of a call, after calls that are not counted. On a card, between two events of its stream."""
    for _ in range(warmups):
        work()
    if device != "cuda":
        return statistics.median(_timed(work) for _ in range(repeats))
    pairs = []
    torch.cuda.synchronize()
    for _ in range(repeats):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        work()
        end.record()
        pairs.append((start, end))
    torch.cuda.synchronize()
    return statistics.median(start.elapsed_time(end) for start, end in pairs) / 1000


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


@dataclass
class Memory:
    """Bytes of tensors: at most, and beyond those that were there before. On a CPU, of the process, and 1 at least."""

    peak_bytes: int = 0
    added_bytes: int = 0


@contextmanager
def memory_of(device: str) -> Iterator[Memory]:
    """Fills in what the body took."""
    memory = Memory()
    if device != "cuda":
        yield memory
        memory.peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        memory.added_bytes = 1
        return
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    yield memory
    torch.cuda.synchronize()
    memory.peak_bytes = torch.cuda.max_memory_allocated()
    memory.added_bytes = memory.peak_bytes - before


def relative_difference(actual: Tensor, expected: Tensor) -> float:
    """Length of the difference over the length of what is expected."""
    wide = expected.double()
    return float((actual.double() - wide).norm() / wide.norm())
