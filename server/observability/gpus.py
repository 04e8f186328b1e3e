"""What the driver tells of the graphics cards: memory and load. Knows NVML; does not know what runs on a card.

``nvidia-ml-py`` comes with the extra ``tensorrt``. Without it, or without a driver, there are no cards and no metrics
of them. NVML needs no CUDA context, so a look at a card takes nothing from it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Card:
    """A card by its number and name; the functions look at it when they are called, and give NaN where it is gone.

    Bytes count everybody's use, not only this server's. ``utilization_ratio`` is the share of the last sampling
    period, 1/6 s to 1 s, in which any kernel ran (NVML, ``nvmlDeviceGetUtilizationRates``), 0..1.
    """

    index: int
    name: str
    used_bytes: Callable[[], float]
    total_bytes: Callable[[], float]
    utilization_ratio: Callable[[], float]


def nvml_cards() -> list[Card]:
    """Every card that this process may see."""
    try:
        import pynvml
    except ImportError:
        return []
    return cards_of(pynvml)


def cards_of(nvml: ModuleType) -> list[Card]:
    """The cards of a library with the interface of ``pynvml``."""
    try:
        nvml.nvmlInit()
        handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
        return [_card(nvml, index, handle) for index, handle in enumerate(handles)]
    except nvml.NVMLError as error:
        _logger.debug("no metrics of cards", extra={"fields": {"cause": str(error)}})
        return []


def _card(nvml: ModuleType, index: int, handle: Any) -> Card:
    def look(read: Callable[[], float]) -> Callable[[], float]:
        def read_or_nan() -> float:
            try:
                return read()
            except nvml.NVMLError:  # a card that fell off the bus must not take the other metrics with it
                return math.nan

        return read_or_nan

    return Card(
        index,
        str(nvml.nvmlDeviceGetName(handle)),
        used_bytes=look(lambda: float(nvml.nvmlDeviceGetMemoryInfo(handle).used)),
        total_bytes=look(lambda: float(nvml.nvmlDeviceGetMemoryInfo(handle).total)),
        utilization_ratio=look(lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100),
    )
