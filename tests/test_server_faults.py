"""Faults of the engine: the caller gets a status and a reason, the log gets the rest."""

from __future__ import annotations

import grpc
import grpc.aio
import pytest

from engine.api.errors import GraphFailed, OutOfMemory
from stillcue.v1 import match_pb2, media_pb2
from tests.faulty_engine import SECRET, FaultyEngine, FaultyPreparation
from tests.serving import PROMPT, REQUEST_ID, failure_of, generate_request, png, reason, served


@pytest.mark.parametrize(
    ("fault", "code", "told_reason", "text"),
    [
        (
            GraphFailed(SECRET),
            grpc.StatusCode.INTERNAL,
            "GRAPH_FAILED",
            "the engine failed; details are in the server's log under this request id: ",
        ),
        (
            RuntimeError(SECRET),
            grpc.StatusCode.INTERNAL,
            "INTERNAL",
            "internal error; details are in the server's log under this request id: ",
        ),
        (
            OutOfMemory(SECRET),
            grpc.StatusCode.UNAVAILABLE,
            "OUT_OF_MEMORY",
            "the device ran out of memory; send the job again, or ask for a smaller size or fewer frames",
        ),
    ],
    ids=["graph failed", "unforeseen", "out of memory"],
)
async def test_a_fault_stays_in_the_log(
    fault: Exception, code: grpc.StatusCode, told_reason: str, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(FaultyEngine(fault)) as server:
        error = await failure_of(server.stub.Generate(generate_request()))
        score_error = await failure_of(
            server.stub.ScoreMatch(match_pb2.ScoreMatchRequest(image=media_pb2.Image(data=png()), prompt=PROMPT))
        )
    assert error.code() is score_error.code() is code
    assert reason(error) == reason(score_error) == told_reason
    assert error.details() == text + (REQUEST_ID if code is grpc.StatusCode.INTERNAL else "")
    for told in (error, score_error):
        assert SECRET not in str(told.details())
        assert SECRET not in str(told.trailing_metadata())
    assert SECRET in caplog.text
    assert PROMPT not in caplog.text


async def test_a_fault_of_the_preparation_is_internal() -> None:
    async with served(FaultyPreparation()) as server:
        error = await failure_of(server.stub.Generate(generate_request()))
    assert error.code() is grpc.StatusCode.INTERNAL
    assert reason(error) == "INTERNAL"
