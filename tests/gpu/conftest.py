"""Fixtures of tests that need an NVIDIA GPU. Without one they are not collected; they run in a single process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.api.errors import DeviceUnavailable
from engine.runtime.gpu import Gpu, present_gpu
from engine.runtime.trt import TrtRuntime
from tests.gpu.plans import COMPILER, with_plans
from tests.gpu.report import Report

_POCKET = Path(__file__).resolve().parents[2] / "pocket" / "model"


def _found_card() -> Gpu | None:
    try:
        return present_gpu()
    except DeviceUnavailable:
        return None


# Several processes on one GPU would disturb each other's measurements.
if _found_card() is None or "PYTEST_XDIST_WORKER" in os.environ:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def card() -> Gpu:
    return present_gpu()


@pytest.fixture(scope="session")
def report(card: Gpu) -> Report:
    return Report(card)


@pytest.fixture(scope="session", params=["tiny", "tiny_5b", "pocket"])
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, card: Gpu, report: Report) -> Path:
    """Bundles with plans for this GPU: both families with random weights, and pocket."""
    name: str = request.param
    source = _POCKET if name == "pocket" else request.getfixturevalue(f"{name}_bundle")
    return with_plans(source, tmp_path_factory.mktemp("gpu") / name, card, report)


@pytest.fixture
def runtime(tmp_path: Path) -> TrtRuntime:
    """A runtime with an empty kernel cache."""
    return TrtRuntime(COMPILER, tmp_path / "kernels")
