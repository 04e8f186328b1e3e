"""Replicas follow the jobs, those that wait in the proxy included."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.ray.calls import PATIENCE_SECONDS, colours, connected, frames_of, job
from tests.ray.fleet import RayFleet, ray_fleet
from tests.serving import read_all

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.ray.gate import Gate

pytestmark = pytest.mark.ray

# As in deploy/ray/gpu.yaml, but within seconds.
_AUTOSCALING = {
    "min_replicas": 1,
    "max_replicas": 2,
    "target_ongoing_requests": 1,
    "upscale_delay_s": 0.1,
    "downscale_delay_s": 2.0,
    "metrics_interval_s": 0.5,
    "look_back_period_s": 1.0,
}


@pytest.fixture
def small_fleet() -> Iterator[RayFleet]:
    with ray_fleet(options={"autoscaling_config": _AUTOSCALING}) as running:
        yield running


async def has_replicas(fleet: RayFleet, count: int) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(fleet.replicas()) != count:
            await asyncio.sleep(0.1)


async def test_a_waiting_job_starts_a_replica_and_an_idle_one_ends(small_fleet: RayFleet, gate: Gate) -> None:
    assert len(small_fleet.replicas()) == 1
    async with connected(small_fleet) as stub:
        first = stub.Generate(job(1, gate.prompt))
        await asyncio.wait_for(anext(aiter(first)), PATIENCE_SECONDS)
        async with asyncio.timeout(PATIENCE_SECONDS):  # on a second replica, since the first job holds the first one
            messages = [message async for message in stub.Generate(job(2))]
        assert frames_of(messages) == colours(2, job(2).prompt)
        assert len(small_fleet.replicas()) == 2
        gate.open()
        assert len(frames_of(await read_all(first))) == 9
    await has_replicas(small_fleet, 1)
