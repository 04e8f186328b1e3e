"""GPU metrics: with a fake driver, and with this machine's own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from prometheus_client import generate_latest

from server.observability.gpus import gpus_of, nvml_gpus
from server.observability.metrics import Metrics

GIB = 2**30
UUIDS = {"GPU-a": 0, "GPU-b": 1, "MIG-c": 101}  # the instance is a part of the second GPU


class PlayedError(Exception):
    pass


@dataclass
class PlayedDriver:
    """Two cards, of which one can fall off the bus; speaks as ``pynvml`` does."""

    count: int = 2
    used_bytes: int = 20 * GIB
    is_lost: bool = False
    is_missing: bool = False

    def module(self) -> ModuleType:
        nvml: Any = ModuleType("played_nvml")
        nvml.NVMLError = PlayedError
        nvml.nvmlInit = self._init
        nvml.nvmlDeviceGetCount = lambda: self.count
        nvml.nvmlDeviceGetHandleByIndex = lambda index: index
        nvml.nvmlDeviceGetHandleByUUID = self._by_uuid
        nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle = lambda handle: handle - 100
        nvml.nvmlDeviceGetIndex = lambda handle: handle
        nvml.nvmlDeviceGetName = lambda handle: "NVIDIA GeForce RTX 3090"
        nvml.nvmlDeviceGetMemoryInfo = self._memory
        nvml.nvmlDeviceGetUtilizationRates = self._utilization
        return nvml

    def _by_uuid(self, uuid: str) -> int:
        if uuid not in UUIDS:
            raise PlayedError("Not Found")
        return UUIDS[uuid]

    def _init(self) -> None:
        if self.is_missing:
            raise PlayedError("Driver Not Loaded")

    def _utilization(self, handle: int) -> SimpleNamespace:
        if handle >= 100:
            raise PlayedError("Not Supported")
        return SimpleNamespace(gpu=75 - 50 * handle, memory=1)

    def _memory(self, handle: int) -> SimpleNamespace:
        if self.is_lost and handle == 1:
            raise PlayedError("GPU is lost")
        return SimpleNamespace(total=24 * GIB, used=self.used_bytes, free=24 * GIB - self.used_bytes)


def exported(driver: PlayedDriver, uuid: str = "") -> tuple[Metrics, Any]:
    metrics = Metrics()
    metrics.watch_gpus(gpus_of(driver.module(), uuid))

    def value(name: str, gpu: int) -> float | None:
        labels = {"gpu": str(gpu), "gpu_name": "NVIDIA GeForce RTX 3090"}
        return metrics.registry.get_sample_value(f"stillcue_gpu_{name}", labels)

    return metrics, value


def test_each_gpu_is_looked_at_when_somebody_asks() -> None:
    driver = PlayedDriver()
    _, value = exported(driver)
    assert [value("memory_used_bytes", gpu) for gpu in range(3)] == [20 * GIB, 20 * GIB, None]
    assert [value("memory_total_bytes", gpu) for gpu in range(2)] == [24 * GIB] * 2
    assert [value("utilization_ratio", gpu) for gpu in range(2)] == [0.75, 0.25]
    driver.used_bytes = 23 * GIB
    assert value("memory_used_bytes", 1) == 23 * GIB


def test_the_gpu_of_the_engine_is_exported_alone() -> None:
    """CUDA may call it cuda:0; NVML and the label call it 1."""
    _, value = exported(PlayedDriver(), "GPU-b")
    assert [value("memory_used_bytes", gpu) for gpu in range(3)] == [None, 20 * GIB, None]
    assert value("utilization_ratio", 1) == 0.25


def test_an_instance_of_a_gpu_has_the_index_of_its_gpu_and_no_utilisation() -> None:
    _, value = exported(PlayedDriver(), "MIG-c")
    assert [value("memory_used_bytes", gpu) for gpu in range(2)] == [None, 20 * GIB]
    assert math.isnan(value("utilization_ratio", 1))


def test_a_gpu_that_nvml_does_not_know_leaves_all_of_them() -> None:
    _, value = exported(PlayedDriver(), "GPU-x")
    assert [value("memory_used_bytes", gpu) for gpu in range(2)] == [20 * GIB] * 2


def test_a_lost_gpu_takes_nothing_else_with_it() -> None:
    driver = PlayedDriver()
    metrics, value = exported(driver)
    driver.is_lost = True
    assert value("memory_used_bytes", 0) == 20 * GIB
    assert math.isnan(value("memory_used_bytes", 1))
    assert value("utilization_ratio", 1) == 0.25
    assert b"stillcue_queue_jobs 0.0" in generate_latest(metrics.registry)


def test_without_a_driver_there_are_no_cards() -> None:
    assert gpus_of(PlayedDriver(is_missing=True).module()) == []


def test_the_library_and_the_driver_of_this_machine() -> None:
    pynvml = pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed")
    cards = nvml_gpus()
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        assert cards == []
        return
    assert len(cards) == pynvml.nvmlDeviceGetCount()
    for card in cards:
        assert 0 < card.used_bytes() <= card.total_bytes()
        assert 0 <= card.utilization_ratio() <= 1
