"""Exemplars link a histogram bucket to the request in it, in OpenMetrics, the only format with exemplars."""

from __future__ import annotations

import asyncio
import urllib.request
import uuid

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from engine.testing.fake_engine import FakeEngine
from server.observability.metrics import exemplar_of
from stillcue.v1 import generate_pb2, match_pb2, media_pb2
from tests.chaining import chain_request
from tests.serving import PROMPT, REQUEST_ID, Served, failure_of, generate_request, png, read_all, served

# What Prometheus sends first since 2.5.
OPENMETRICS = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3"


async def scrape(server: Served, accept: str) -> tuple[str, str]:
    request = urllib.request.Request(f"http://{server.metrics_address}/metrics", headers={"Accept": accept})

    def get() -> tuple[str, str]:
        with urllib.request.urlopen(request) as response:
            return response.headers["Content-Type"], response.read().decode()

    return await asyncio.to_thread(get)


async def exemplars(server: Served) -> dict[str, set[str]]:
    """Request ids by the histogram that carries them; an empty set where it carries none."""
    content_type, text = await scrape(server, OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):  # type: ignore[no-untyped-call]
        if family.type == "histogram":
            ids = found.setdefault(family.name, set())
            ids.update(item.exemplar.labels["request_id"] for item in family.samples if item.exemplar)
    return found


async def test_every_histogram_names_the_request() -> None:
    container = media_pb2.VIDEO_CONTAINER_FRAGMENTED_MP4
    stream = generate_pb2.StreamSpec(preview_every_step_count=1, video_container=container)
    async with served(FakeEngine()) as server:
        await read_all(server.stub.Generate(chain_request(stream=stream)))
        found = await exemplars(server)
    assert found.pop("stillcue_cancel_latency_seconds") == set()
    assert found.pop("stillcue_worker_down_seconds") == set()  # of no request
    assert len(found) == 16
    assert all(ids == {REQUEST_ID} for ids in found.values()), found


async def test_calls_without_an_id_of_their_own_get_one() -> None:
    async with served(FakeEngine()) as server:
        image = media_pb2.Image(data=png())
        await server.stub.ScoreMatch(match_pb2.ScoreMatchRequest(image=image, prompt=PROMPT))
        # An id that is no UUID is replaced, so that nothing longer than an exemplar may be comes near one.
        await failure_of(server.stub.Generate(generate_request(request_id="x" * 1_000)))
        found = await exemplars(server)
    assert len(found["stillcue_match_score"]) == 1
    assert {str(uuid.UUID(item)) for item in found["grpc_server_handling_seconds"]} > found["stillcue_match_score"]


async def test_the_plain_format_carries_no_request_id() -> None:
    async with served(FakeEngine()) as server:
        await read_all(server.stub.Generate(generate_request()))
        content_type, text = await scrape(server, "text/plain")
    assert content_type.startswith("text/plain")
    assert "stillcue_match_score_bucket" in text
    assert REQUEST_ID not in text


def test_no_id_is_no_exemplar() -> None:
    assert exemplar_of("") is None
