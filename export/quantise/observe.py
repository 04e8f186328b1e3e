"""Runs a component and measures the inputs of its linears and the factors of its self-attention.

The weight of a linear is read when the linear runs and dropped afterwards, so that a component may be larger than the
memory of the machine; each call then reads it from disk.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from export.quantise.attention import AttentionRanges, watched_attention
from export.quantise.calibration import group_size
from export.weights.shards import WeightSource


@dataclass
class Observed:
    """Ranges and second moments of linears' inputs, and ranges of attention, as ``calibration.Calibration`` keeps."""

    ranges: dict[str, float] = field(default_factory=dict)
    shared: dict[str, str] = field(default_factory=dict)
    moments: dict[str, Tensor] = field(default_factory=dict)  # mean products [groups, size, size] float32
    attention: dict[str, AttentionRanges] = field(default_factory=dict)
    call_count: int = 0


def observe(module: nn.Module, source: WeightSource, samples: Iterable[Mapping[str, Any]]) -> Observed:
    """Runs a module on the meta device with weights from ``source``, in float32, and measures inputs of its linears.

    ``samples`` are keyword arguments of its ``forward``.
    """
    linears = {name: item for name, item in module.named_modules() if isinstance(item, nn.Linear)}
    _load_all_but(module, source, {f"{name}.weight" for name in linears})
    accumulator = _Accumulator()
    with contextlib.ExitStack() as hooks, watched_attention(module) as attention, torch.no_grad():
        for name, linear in linears.items():
            hooks.enter_context(_streamed(linear, f"{name}.weight", source))
            handle = linear.register_forward_pre_hook(accumulator.hook(name))
            hooks.callback(handle.remove)
        for sample in samples:
            module(**sample)
            accumulator.end_call()
    return replace(accumulator.result(), attention=attention)


def _load_all_but(module: nn.Module, source: WeightSource, streamed: set[str]) -> None:
    wanted = [name for name, item in module.named_parameters() if item.is_meta and name not in streamed]
    module.load_state_dict({name: source.read(name).float() for name in wanted}, strict=False, assign=True)


@contextlib.contextmanager
def _streamed(linear: nn.Linear, name: str, source: WeightSource) -> Iterator[None]:
    absent = linear.weight

    def fetch(*_: Any) -> None:
        linear.weight = nn.Parameter(source.read(name).float(), requires_grad=False)

    def drop(*_: Any) -> None:
        linear.weight = absent

    handles = linear.register_forward_pre_hook(fetch), linear.register_forward_hook(drop)
    yield
    for handle in handles:
        handle.remove()


class _Accumulator:
    """Accumulates ranges and moments. Linears that receive the same tensor object share one entry of moments."""

    def __init__(self) -> None:
        self._observed = Observed()
        self._row_counts: dict[str, int] = {}
        self._last: tuple[Tensor, str] | None = None

    def hook(self, name: str) -> Any:
        """A forward pre-hook for the linear of this name."""

        def see(_: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            self._see(name, arguments[0])

        return see

    def end_call(self) -> None:
        """Ends a sample; linears of different samples share nothing."""
        self._last = None
        self._observed.call_count += 1

    def result(self) -> Observed:
        """The observation, with moments divided by their row counts."""
        sums = self._observed.moments
        self._observed.moments = {name: total / self._row_counts[name] for name, total in sums.items()}
        return self._observed

    def _see(self, name: str, inputs: Tensor) -> None:
        observed = self._observed
        observed.ranges[name] = max(observed.ranges.get(name, 0.0), float(inputs.abs().max()))
        if self._last is not None and self._last[0] is inputs:
            observed.shared[name] = self._last[1]
            return
        self._last = (inputs, name)
        observed.shared[name] = name
        size = group_size(inputs.shape[-1])
        rows = inputs.reshape(-1, inputs.shape[-1] // size, size).transpose(0, 1).float()  # [groups, rows, size]
        moments = rows.transpose(1, 2) @ rows
        observed.moments[name] = observed.moments[name] + moments if name in observed.moments else moments
        self._row_counts[name] = self._row_counts.get(name, 0) + rows.shape[1]
