"""An engine in the server's own process whose GPU is lost: one job fails, and the server says that it cannot serve."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from engine.api.errors import DeviceLost
from stillcue.v1 import match_pb2, media_pb2
from tests.faulty_engine import SECRET, FaultyEngine
from tests.serving import PROMPT, failure_of, generate_request, png, reason, served

TEXT = "the GPU failed, so the engine must be restarted; send the job again, or to another server"


@pytest.mark.asyncio
async def test_a_lost_gpu_in_the_servers_process_turns_it_not_serving(caplog: pytest.LogCaptureFixture) -> None:
    async with served(FaultyEngine(DeviceLost(f"Xid 79 in {SECRET}"))) as server:
        error = await failure_of(server.stub.Generate(generate_request()))
        assert (error.code(), reason(error), error.details()) == (grpc.StatusCode.UNAVAILABLE, "ENGINE_LOST", TEXT)
        await server.reaches("stillcue_serving", 0)
        health: Any = health_pb2_grpc.HealthStub(server.channel)
        assert (await health.Check(health_pb2.HealthCheckRequest())).status == (
            health_pb2.HealthCheckResponse.NOT_SERVING
        )
        refused = await failure_of(server.stub.Generate(generate_request()))
        assert (reason(refused), refused.details()) == ("ENGINE_LOST", TEXT)
        assert await server.sample("stillcue_jobs_rejected_total{reason=engine_lost}") == 1
    assert f"Xid 79 in {SECRET}" in caplog.text


@pytest.mark.asyncio
async def test_a_score_that_loses_the_gpu_counts_too() -> None:
    async with served(FaultyEngine(DeviceLost("an ECC error"))) as server:
        picture = media_pb2.Image(data=png())
        score = server.stub.ScoreMatch(match_pb2.ScoreMatchRequest(image=picture, prompt=PROMPT))
        assert reason(await failure_of(score)) == "ENGINE_LOST"
        await server.reaches("stillcue_serving", 0)
