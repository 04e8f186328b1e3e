"""A real Prometheus scrapes three servers and HAProxy; the fleet's dashboard and rules give figures counted by hand.

Pool "fast": server a completed 3 jobs, had one cancelled, runs one and has one waiting; HAProxy before it has two
waiting and refused one; server b has begun none and has another bundle. Pool "slow": server c, without a queue, refused
a job, runs one and drains; a fourth target gives no answer.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Semaphore
from typing import Any

import pytest

from benchmarks.fleet.machines import free_ports
from engine.api.engine import LossReason
from engine.testing.fake_engine import FAKE_CAPABILITIES, FakeEngine
from server import __version__
from tests.fake_job import GRAPH_CALL_COUNT
from tests.fleets import Proxy, proxy
from tests.prometheus_server import PATIENCE_SECONDS, SCRAPE_SECONDS, Prometheus, prometheus
from tests.serving import Served, failure_of, generate_request, read_all, served
from tests.test_deploy_dashboard import FLEET_PANELS, as_prometheus_sees, expressions
from tests.test_deploy_rules import groups_of

pytestmark = pytest.mark.walk

DIGESTS = {"a": "a" * 64, "b": "b" * 64, "c": "a" * 64}
AVERAGES = {"Saturation, 15 min", "Utilisation of each replica", "Card-seconds of a clip"}
Values = dict[tuple[str, ...], float]


@dataclass(frozen=True)
class Fleet:
    """Servers with their gates by name, HAProxy before a, and the address of a target that gives no answer."""

    servers: dict[str, Served]
    gates: dict[str, Semaphore]
    haproxy: Proxy
    dead: str

    def instance(self, name: str) -> str:
        """The label ``instance`` of a server."""
        return str(self.servers[name].metrics_address)

    @property
    def targets(self) -> dict[str, list[dict[str, Any]]]:
        """The scrape targets by job, with their pools."""
        return {
            "stillcue": [
                {"targets": [self.instance("a"), self.instance("b")], "labels": {"pool": "fast"}},
                {"targets": [self.instance("c"), self.dead], "labels": {"pool": "slow"}},
            ],
            "haproxy": [{"targets": [self.haproxy.metrics_address], "labels": {"pool": "fast"}}],
        }


@asynccontextmanager
async def fleet(folder: Path) -> AsyncIterator[Fleet]:
    """Three servers that make a graph call when told. In the end their jobs may go on, so that they stop."""
    gates = {name: Semaphore(0) for name in DIGESTS}
    async with AsyncExitStack() as stack:
        servers = {}
        for name, digest in DIGESTS.items():
            engine = FakeEngine(gate=gates[name], capabilities=replace(FAKE_CAPABILITIES, bundle_digest=digest))
            capacity = 0 if name == "c" else 4
            servers[name] = await stack.enter_async_context(served(engine, queue_capacity=capacity))
        haproxy = await stack.enter_async_context(proxy(folder, {"a": str(servers["a"].address)}, "--queue-jobs=2"))
        for gate in gates.values():
            stack.callback(gate.release, 100 * GRAPH_CALL_COUNT)
        await haproxy.sees("a", "UP")
        yield Fleet(servers, gates, haproxy, f"127.0.0.1:{free_ports(1)[0]}")


def request(seed: int = 7) -> Any:
    return generate_request(request_id=str(uuid.uuid4()), sampling={"seed": seed})


async def begun(call: Any) -> Any:
    """A call whose first event was read."""
    await anext(aiter(call))
    return call


async def work(fleet: Fleet, stack: AsyncExitStack) -> None:
    """Brings the fleet into the state that the module's docstring describes."""
    a, c, haproxy = fleet.servers["a"], fleet.servers["c"], fleet.haproxy
    fleet.gates["a"].release(3 * GRAPH_CALL_COUNT)
    for _ in range(3):
        await read_all(a.stub.Generate(request()))
    cancelled = await begun(a.stub.Generate(request()))
    cancelled.cancel()
    await a.reaches("stillcue_jobs_total{outcome=cancelled}", 1)
    fleet.gates["a"].release()  # the engine waits for its next call, and stops there
    await a.reaches("stillcue_running_jobs", 0)
    calls = [await begun(haproxy.stub.Generate(request()))]
    await a.reaches("stillcue_running_jobs", 1)
    waiting = [asyncio.create_task(read_all(haproxy.stub.Generate(request()))) for _ in range(2)]
    await haproxy.reaches(2, "backend_current_queue", "generate")
    await failure_of(haproxy.stub.Generate(request()))
    calls += [await begun(a.stub.Generate(request())), await begun(c.stub.Generate(request()))]
    await failure_of(c.stub.Generate(request()))
    draining = asyncio.create_task(c.server.drain(asyncio.Event()))
    for call in (*calls, *waiting, draining):
        stack.callback(call.cancel)


def every(values: Values, first: tuple[str, ...], second: tuple[str, ...]) -> Values:
    """``values``, and 0 for every other pair of labels."""
    return {**dict.fromkeys(itertools.product(first, second), 0.0), **values}


def expected(fleet: Fleet, samples: dict[str, dict[str, float]]) -> dict[str, list[Values]]:
    """The values of each query of each panel, by the values of their labels, which are ordered by their names.

    ``samples`` are those of each server now, for times, which no hand can count. Left out are averages that begin with
    the test: the panels of ``AVERAGES``.
    """
    a, b, c = instances = tuple(fleet.instance(name) for name in DIGESTS)
    fast, slow = pools = ("fast", "slow")
    loaded = {name: (DIGESTS[name], FAKE_CAPABILITIES.runtime, __version__) for name in DIGESTS}
    seconds = {
        end: samples["a"][f"stillcue_engine_seconds_total{{outcome={end}}}"] for end in ("cancelled", "completed")
    }
    assert min(seconds.values()) > 0
    waits = {("fast",): samples["a"], ("slow",): samples["c"]}
    return {
        "Replicas that serve": [{(fast,): 2, (slow,): 0}],
        "Running jobs and replicas that serve": [{(fast,): 1, (slow,): 1}, {(fast,): 2, (slow,): 0}],
        "Replicas by state": [{(): 2}, {(): 0}, {(): 1}, {(): 1}],
        "Jobs that wait": [{(fast,): 1, (slow,): 0}, {(fast,): 2}],
        "Wait at the servers": [
            {pool: quantile(share, found, "stillcue_job_queue_seconds") for pool, found in waits.items()}
            for share in (0.5, 0.95)
        ],
        "Wait at HAProxy": [{(fast,): 0}],
        "Refused by the servers": [
            every({(slow, "queue_full"): 1}, pools, ("queue_full", "server_draining", "server_starting"))
        ],
        "Refused by HAProxy": [{(fast,): 1}],
        "Jobs given up by callers": [every({("cancelled", fast): 1}, ("cancelled", "deadline_exceeded"), pools)],
        "Replicas": [
            {
                (digest, FAKE_CAPABILITIES.device, fleet.instance(name), slow if name == "c" else fast, *others): 1
                for name, (digest, *others) in loaded.items()
            },
            {(a,): 1, (b,): 1, (c,): 0},
            {(a,): 0, (b,): 0, (c,): 1},
            {(a,): 1, (b,): 0, (c,): 1},
            {(a,): 1, (b,): 0, (c,): 0},
        ],
        "Starts of servers, 1 h": [dict.fromkeys(((name,) for name in instances), 0)],
        "Engines lost, 1 h": [every({}, instances, tuple(reason.value for reason in LossReason))],
        "Calls failed by a replica, 1 h": [dict.fromkeys(((name,) for name in instances), 0)],
        "Replicas that the proxy sends jobs to": [{(fast,): 1}, {(fast,): 2, (slow,): 0}],
        "Versions and bundles": [
            {(digest, slow if name == "c" else fast, *others): 1 for name, (digest, *others) in loaded.items()}
        ],
        "Jobs begun, 15 min": [{(a,): 5, (b,): 0, (c,): 1}],
        "Jobs that wait while replicas are idle": [{(fast,): 1, (slow,): 0}],
        "Engine-seconds of a clip": [{(fast,): sum(seconds.values()) / 3}],
        "Engine time by outcome": [{(end,): value for end, value in seconds.items()}],
        "Jobs done again": [{(fast,): 0, (slow,): 0}, {(fast,): 0, (slow,): 0}],
    }


def quantile(share: float, samples: dict[str, float], histogram: str) -> float:
    """A quantile of a histogram, interpolated within its bucket as Prometheus describes it."""
    found = [(name, value) for name, value in samples.items() if name.startswith(f"{histogram}_bucket{{le=")]
    buckets = sorted((float(name.split("le=")[1][:-1].replace("+Inf", "inf")), value) for name, value in found)
    rank, lower, below = share * buckets[-1][1], 0.0, 0.0
    for upper, count in buckets:
        if count >= rank:
            return lower + (upper - lower) * (rank - below) / (count - below)
        lower, below = upper, count
    raise AssertionError(buckets)


async def averages(watcher: Prometheus, fleet: Fleet, began_at: float) -> None:
    """Panels of averages since the start of the test, which are known within limits only."""
    found = {
        panel["title"]: await watcher.values(as_prometheus_sees(expressions(panel)[0]))
        for panel in FLEET_PANELS
        if panel["title"] in AVERAGES
    }
    # Pool "fast" has been half busy, and before that not busy.
    assert 0 < found["Saturation, 15 min"]["fast",] <= 0.5
    busy = {name: found["Utilisation of each replica"][fleet.instance(name),] for name in DIGESTS}
    assert 0 < busy["a"] <= 1
    assert busy["b"] == 0
    # Two cards for each multiple of 15 s since the start, for three clips.
    spans = found["Card-seconds of a clip"]["fast",] * 3 / (2 * 15)
    assert 0 < spans <= (time.time() - began_at) / 15 + 1


def differences(found: dict[str, list[Values]], wanted: dict[str, list[Values]]) -> dict[str, Any]:
    """The panels whose values differ. ``increase`` extrapolates by up to a scrape interval: less and less with time."""
    return {
        title: (found[title], wanted[title])
        for title in wanted
        if found[title] != [pytest.approx(values, rel=0.15, abs=1e-9) for values in wanted[title]]
    }


async def test_the_fleets_dashboard_shows_what_the_fleet_does(tmp_path: Path) -> None:
    began_at = time.time()
    async with (
        fleet(tmp_path) as servers,
        prometheus(tmp_path, "fleet.yml", servers.targets) as watcher,
        AsyncExitStack() as calls,
    ):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(await watcher.values("up == 1")) < len(DIGESTS) + 1:  # and HAProxy
            assert time.monotonic() < deadline
            await asyncio.sleep(SCRAPE_SECONDS / 4)
        await work(servers, calls)
        samples = {name: await server.samples() for name, server in servers.servers.items()}
        wanted = expected(servers, samples)
        assert set(wanted) | AVERAGES == {panel["title"] for panel in FLEET_PANELS}
        alerts = {
            "StillcuePoolLost": [("slow",)],
            "StillcueReplicasMissing": [],
            "StillcueReplicaIdle": [(servers.instance("b"), "stillcue", "fast")],
            "StillcueIdleWhileWaiting": [("fast",)],
            "StillcueFleetSaturated": [],
            "StillcueReplicasDiffer": [("fast",)],
        }
        while True:
            found = {
                panel["title"]: [await watcher.values(as_prometheus_sees(item)) for item in expressions(panel)]
                for panel in FLEET_PANELS
            }
            # A point of the card-seconds comes every 15 s.
            has_card_seconds = bool(found["Card-seconds of a clip"][0].get(("fast",)))
            if not differences(found, wanted) and has_card_seconds and await alerting(watcher) == alerts:
                break
            assert time.monotonic() < deadline, (differences(found, wanted), await alerting(watcher))
            await asyncio.sleep(SCRAPE_SECONDS)
        await averages(watcher, servers, began_at)
        assert await watcher.alerts("firing") == {}


async def alerting(watcher: Prometheus) -> dict[str, list[tuple[str, ...]]]:
    """What the alerts of a fleet would say if their windows of minutes were as long as a few scrapes."""
    brief = f"{4 * SCRAPE_SECONDS}s"
    return {
        rule["alert"]: list(await watcher.values(re.sub(r"(?<=\[)\d+m(?=\])|(?<=offset )\d+m", brief, rule["expr"])))
        for rule in groups_of("alerts.yml")["stillcue-fleet"]
    }
