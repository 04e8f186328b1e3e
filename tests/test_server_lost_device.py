"""An engine in the server's own process whose GPU is lost: one job fails, and the server says that it cannot serve."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from engine.api.errors import DeviceLost, EngineError, OutOfMemory
from server.__main__ import main
from server.lifecycle import engine_factory
from server.observability import logs
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


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        (
            DeviceLost("cudaMalloc failed: uncorrectable ECC error encountered (cudaErrorECCUncorrectable)"),
            "the GPU failed as the bundle was opened: cudaMalloc failed: uncorrectable ECC error encountered "
            "(cudaErrorECCUncorrectable); see `nvidia-smi` and `dmesg`",
        ),
        (
            OutOfMemory("the GPU ran out of memory; free it of other work"),
            "the bundle was not opened: the GPU ran out of memory; free it of other work, or set --memory-budget-bytes",
        ),
    ],
)
def test_a_device_that_fails_as_the_bundle_is_opened_ends_the_start_with_one_line(
    fault: EngineError, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> NoReturn:
        raise fault

    flags = ["--engine", "fake", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"]
    monkeypatch.setattr(sys, "argv", ["server", *flags])
    monkeypatch.setattr(engine_factory, "launch_engine", lambda _: fail)
    monkeypatch.setattr(logs, "configure_logging", lambda *_: None)
    assert main() == 1
    assert capsys.readouterr().err == f"stillcue: {line}\n"
