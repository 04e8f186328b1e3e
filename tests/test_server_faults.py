"""Faults of the engine: the caller gets a status and a reason, the log gets the rest."""

from __future__ import annotations

import grpc
import grpc.aio
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2

from engine.api.errors import GraphFailed, OutOfMemory
from engine.testing.fake_engine import FakeEngine
from stillcue.v1 import generate_pb2, match_pb2, media_pb2
from tests.faulty_engine import SECRET, FaultyEngine, FaultyPreparation
from tests.serving import (
    PROMPT,
    REQUEST_ID,
    detail,
    failure_of,
    generate_request,
    kinds,
    png,
    read_all,
    reason,
    served,
)


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


@pytest.mark.parametrize(
    ("call", "facts"),
    [
        ("match", {"stage": "match"}),
        ("encode_text", {"stage": "encode_text"}),
        ("encode_image", {"stage": "encode_image"}),
        ("denoise 1", {"stage": "denoise", "expert": "high_noise", "step": "1", "step_count": "4"}),
        ("denoise 4", {"stage": "denoise", "expert": "low_noise", "step": "4", "step_count": "4"}),
        ("decode 0", {"stage": "decode"}),
    ],
)
@pytest.mark.parametrize("resume_seconds", [0, 30], ids=["", "with a resume window"])
async def test_nan_in_the_model_ends_the_job_with_a_reason_of_its_own(
    call: str, facts: dict[str, str], resume_seconds: int, caplog: pytest.LogCaptureFixture
) -> None:
    engine = FakeEngine(non_finite_at=call)
    stream = generate_pb2.StreamSpec(resume_window=Duration(seconds=resume_seconds) if resume_seconds else None)
    async with served(engine) as server:
        error = await failure_of(server.stub.Generate(generate_request(stream=stream)))
        again = await failure_of(server.stub.Generate(generate_request(stream=stream)))
        stage, expert = facts["stage"], facts.get("expert", "")
        count = await server.sample(f"stillcue_non_finite_total{{expert={expert},stage={stage}}}")
        outcomes = await server.sample("stillcue_jobs_total{outcome=non_finite_values}")
    assert error.code() is again.code() is grpc.StatusCode.INTERNAL
    assert reason(error) == reason(again) == "NON_FINITE_VALUES"
    assert error.details() == f"{call} computed NaN or infinity"
    info = detail(error, error_details_pb2.ErrorInfo)
    assert info is not None
    assert dict(info.metadata) == {"request_id": REQUEST_ID, "precision": "fp16", **facts}
    assert detail(error, error_details_pb2.RetryInfo) is None
    # The server does not try again, and the same request of a kept job reads the end of that job.
    run_count = 1 if resume_seconds else 2
    assert (count, outcomes) == (2, run_count)
    assert engine.graph_calls.count(call) == run_count
    assert engine.graph_calls[-1] == call
    assert f"{call} computed NaN or infinity" in caplog.text


async def test_no_frame_follows_nan_and_the_next_job_of_another_caller_is_done() -> None:
    engine = FakeEngine(non_finite_at="decode 1")
    async with served(engine) as server:
        stream = aiter(server.stub.Generate(generate_request()))
        messages = [await anext(stream) for _ in range(12)]
        with pytest.raises(grpc.aio.AioRpcError, match="decode 1 computed NaN"):
            await anext(stream)
        engine._non_finite_at = None
        complete = kinds(await read_all(server.stub.Generate(generate_request())))
    assert kinds(messages)[-2:] == ["stage_started", "frame"]  # of the first latent frame
    assert complete.count("frame") == 9
    assert complete[-1] == "summary"
