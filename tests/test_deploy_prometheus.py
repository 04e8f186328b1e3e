"""A real Prometheus scrapes a real server whose jobs end in every way; no query of the dashboard or rules is empty."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc.aio

from engine.api.cancellation import CancelFlag
from engine.api.capabilities import Geometry, MemoryPlan, StageMemory
from engine.api.errors import GraphFailed, OutOfMemory
from engine.api.events import Event, Stage
from engine.api.job import PreparedJob
from engine.testing.fake_engine import FAKE_CAPABILITIES, FakeEngine
from server.lifecycle.server import Server
from server.observability.gpus import Gpu
from server.settings import Address, Settings
from stillcue.v1 import attempts_pb2, capabilities_pb2, generate_pb2, match_pb2, media_pb2
from tests.chaining import chain_request
from tests.prometheus_server import PATIENCE_SECONDS, SCRAPE_SECONDS, Prometheus, prometheus
from tests.serving import PROMPT, REQUEST_ID, failure_of, generate_request, png, read_all, stub_of
from tests.test_deploy_dashboard import SERVER_PANELS, as_prometheus_sees, expressions
from tests.test_deploy_rules import RECORDING

GIB = 2**30
CARD = Gpu(0, "NVIDIA GeForce RTX 3090", lambda: 20.0 * GIB, lambda: 24.0 * GIB, lambda: 0.5)
# Every third call fails; whatever else is wrong has to last for minutes before an alert fires.
EXPECTED_ALERTS = {"StillcueFaultsBurnFast", "StillcueFaultsBurnSteady", "StillcueOutOfMemory"}
PLANNED = replace(
    FAKE_CAPABILITIES,
    memory_budget_bytes=22 * GIB,
    memory_plans=(
        MemoryPlan(Geometry(32, 32, 9), (StageMemory(Stage.DENOISE, None, (), (), (), 20 * GIB, GIB, GIB),)),
    ),
)


class WilfulEngine(FakeEngine):
    """Fails, or waits until it is stopped, when the prompt's first word says so."""

    def generate(self, job: PreparedJob, cancel: CancelFlag) -> Iterator[Event]:
        will = job.prompt.split()[0]
        for event in super().generate(job, cancel):
            if will == "fail":
                raise GraphFailed("as asked")
            if will == "overflow":
                raise OutOfMemory("as asked")
            while will == "wait" and not cancel.is_set:
                time.sleep(0.005)
            yield event


async def round_of_calls(stub: Any) -> None:
    """Calls that end in every way: completed, failed, refused, cancelled, out of time."""
    container = media_pb2.VIDEO_CONTAINER_FRAGMENTED_MP4
    stream = generate_pb2.StreamSpec(preview_every_step_count=1, video_container=container)
    await read_all(stub.Generate(generate_request(stream=stream)))
    attempts = attempts_pb2.Attempts(maximum_count=2)  # the fake engine's clip of seed 4 fails, that of seed 5 does not
    await read_all(stub.Generate(generate_request(sampling={"seed": 4}, attempts=attempts)))
    await read_all(stub.Generate(chain_request()))
    await stub.ScoreMatch(match_pb2.ScoreMatchRequest(image=media_pb2.Image(data=png()), prompt=PROMPT))
    await stub.GetCapabilities(capabilities_pb2.GetCapabilitiesRequest())
    strict = match_pb2.MatchPolicy(mode=match_pb2.MATCH_MODE_REQUIRE, minimum_score=90)
    for request in (
        generate_request(match=strict),
        *[generate_request(prompt="fail at once")] * 2,  # with the next one 3 faults of 15 calls; alerts need 14.4 %
        generate_request(prompt="overflow at once"),
        generate_request(video=generate_pb2.VideoSpec(frame_count=13)),
    ):
        await failure_of(stub.Generate(request))
    await failure_of(stub.Generate(generate_request(prompt="wait too long"), timeout=0.15))
    await read_all(stub.Generate(generate_request()))  # waits until the engine is free of the one before
    running = stub.Generate(generate_request(prompt="wait until you are stopped"))
    await anext(aiter(running))
    waiting = stub.Generate(generate_request())
    await anext(aiter(waiting))
    await failure_of(stub.Generate(generate_request()))  # the queue is full
    running.cancel()
    await read_all(waiting)


async def test_what_operators_ask_has_an_answer(tmp_path: Path) -> None:
    free = Address("127.0.0.1", 0)
    settings = Settings(listen=free, metrics_listen=free, engine="fake", queue_capacity=1)
    server = Server(settings, lambda: WilfulEngine(capabilities=PLANNED), find_gpus=lambda _: [CARD])
    panels = {as_prometheus_sees(expression) for panel in SERVER_PANELS for expression in expressions(panel)}
    unanswered = panels | {rule["record"] for rule in RECORDING}
    began_at = time.time()
    try:
        address, metrics_address = await server.start()
        async with (
            grpc.aio.insecure_channel(str(address)) as channel,
            prometheus(tmp_path, "prometheus.yml", {"stillcue": [{"targets": [str(metrics_address)]}]}) as watcher,
        ):
            stub = stub_of(channel)
            deadline = time.monotonic() + PATIENCE_SECONDS
            silent = set(EXPECTED_ALERTS)
            while (unanswered or silent) and time.monotonic() < deadline:
                await round_of_calls(stub)
                # This engine has no process to lose; tests/test_server_worker.py loses real ones.
                server._core.metrics.worker_down_seconds.observe(2.5)
                await asyncio.sleep(SCRAPE_SECONDS)
                unanswered = {item for item in unanswered if not await watcher.has(item)}
                silent = EXPECTED_ALERTS - set(await watcher.alerts("firing"))
            assert sorted(unanswered) == []
            assert silent == set()
            assert set(await watcher.alerts("firing")) == EXPECTED_ALERTS
            await exemplars_are_kept(watcher, began_at)
    finally:
        await server.stop()


async def exemplars_are_kept(watcher: Prometheus, began_at: float) -> None:
    found = await watcher.ask(
        "query_exemplars",
        query="stillcue_denoise_step_seconds_bucket",
        start=str(began_at - 60),
        end=str(time.time() + 60),
    )
    ids = {exemplar["labels"]["request_id"] for series in found for exemplar in series["exemplars"]}
    assert ids == {REQUEST_ID}
