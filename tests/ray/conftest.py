"""One fleet with two replicas and a waiting room of two for all tests of behaviour; callers need a token."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from server.security.callers import hash_of
from tests.ray.fleet import RayFleet, ray_fleet
from tests.ray.gate import Gate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "token-of-the-tests"
WAITING_LIMIT = 2
_PATIENCE_SECONDS = 60.0


@pytest.fixture(scope="session")
def only_fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayFleet]:
    callers = tmp_path_factory.mktemp("callers") / "callers"
    callers.write_text(f"tests {hash_of(TOKEN)}\n")
    with ray_fleet(args={"waiting_limit": WAITING_LIMIT}, STILLCUE_CALLERS=str(callers)) as running:
        yield running


@pytest.fixture
def fleet(only_fleet: RayFleet) -> RayFleet:
    """The fleet, with both replicas: an earlier test may have killed one."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while len(only_fleet.replicas()) != 2:
        assert time.monotonic() < until, only_fleet.replicas()
        time.sleep(0.1)
    return only_fleet


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """A gate for the graph calls of one job; open at the end, so that no engine stays at it."""
    made = Gate(tmp_path)
    yield made
    made.open()


@pytest.fixture
def other_gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    made = Gate(tmp_path_factory.mktemp("gate"))
    yield made
    made.open()
