"""Fixtures of tests that need an NVIDIA GPU. Without one they are not collected; they run in a single process.

``@pytest.mark.road("tensorrt")`` restricts a test to a runtime, ``@pytest.mark.road(device="cuda")`` to a real GPU.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.runtime.base import Runtime
from engine.runtime.gpu import Gpu
from tests.gpu.plans import with_plans
from tests.gpu.report import Report
from tests.gpu.roads import POCKET, Road, offer_of_this_run

_OFFER = offer_of_this_run()

# Several processes on one GPU would disturb each other's measurements.
if _OFFER is None or "PYTEST_XDIST_WORKER" in os.environ:
    collect_ignore_glob = ["test_*.py"]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "road(*runtimes, device=None): runtimes and device that a test is restricted to")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what a test's marker excludes."""
    left_out = [item for item in items if isinstance(item, pytest.Function) and not _is_meant(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def _is_meant(item: pytest.Function) -> bool:
    marker = item.get_closest_marker("road")
    if marker is None:
        return True
    road = item.callspec.params["road"]
    assert isinstance(road, Road)
    device = marker.kwargs.get("device", road.device)
    return road.runtime in (marker.args or (road.runtime,)) and road.device == device


@pytest.fixture(scope="session")
def card() -> Gpu:
    assert _OFFER is not None
    return _OFFER.card


@pytest.fixture(scope="session", params=() if _OFFER is None else _OFFER.roads, ids=str)
def road(request: pytest.FixtureRequest) -> Road:
    """Each runtime that this machine offers for the device."""
    found: Road = request.param
    return found


@pytest.fixture(scope="session")
def report(card: Gpu) -> Report:
    return Report(card)


@pytest.fixture(scope="session", params=["tiny", "tiny_5b", "pocket"])
def bundle_name(request: pytest.FixtureRequest) -> str:
    """Bundles that each road serves: both families with random weights, and pocket."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def bundle(
    bundle_name: str,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    card: Gpu,
    report: Report,
    road: Road,
) -> Path:
    """The bundle of that name, with plans for TensorRT."""
    source: Path = POCKET if bundle_name == "pocket" else request.getfixturevalue(f"{bundle_name}_bundle")
    if road.runtime == "tensorrt":
        return with_plans(source, tmp_path_factory.mktemp("gpu") / bundle_name, card, report)
    return source


@pytest.fixture
def runtime(tmp_path: Path, road: Road) -> Runtime:
    """A runtime with an empty kernel cache."""
    return road.open_runtime(tmp_path / "kernels")
