"""Who may resume a stream: the caller whose job it is, with a token of that job; and what the job counts for."""

from __future__ import annotations

import logging
from dataclasses import replace
from threading import Semaphore
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest

from engine.testing.fake_engine import FakeEngine
from server.jobs.resume_token import ResumeToken
from stillcue.v1 import generate_pb2
from tests.fake_job import GRAPH_CALL_COUNT
from tests.resuming import OTHER_ID, going_on, read_and_break, resumable
from tests.serving import REQUEST_ID, failure_of, generate_request, kinds, read_all, reason, served, violations
from tests.two_callers import SHOP, STUDIO, callers

if TYPE_CHECKING:
    from pathlib import Path


async def test_tokens_that_are_none_or_not_of_the_job() -> None:
    async with served(FakeEngine()) as server:
        messages = await read_all(server.stub.Generate(resumable()))
        bad = generate_pb2.GenerateRequest(request_id=REQUEST_ID, resume_token="no token")
        error = await failure_of(server.stub.Generate(bad))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert violations(error) == [
            ("resume_token", "is none of this service; send that of the last event received, or leave it empty")
        ]
        own = ResumeToken.decode(messages[-1].resume_token)
        other_run = replace(own, run=replace(own.run, run_id=bytes(16)))
        guessed = generate_pb2.GenerateRequest(request_id=REQUEST_ID, resume_token=other_run.encode())
        assert reason(await failure_of(server.stub.Generate(guessed))) == "JOB_NOT_FOUND"
        further = replace(own, progress=replace(own.progress, next_number=own.progress.next_number + 1))
        ahead = generate_pb2.GenerateRequest(request_id=REQUEST_ID, resume_token=further.encode())
        assert reason(await failure_of(server.stub.Generate(ahead))) == "EVENTS_DROPPED"
        elsewhere = generate_pb2.GenerateRequest(request_id=OTHER_ID, resume_token=messages[3].resume_token)
        assert reason(await failure_of(server.stub.Generate(elsewhere))) == "JOB_NOT_FOUND"


async def test_a_stream_is_taken_up_by_its_own_caller_only(tmp_path: Path) -> None:
    engine = FakeEngine()
    async with served(engine, callers=callers(tmp_path, "max_jobs=9")) as server:
        messages = await read_all(server.stub.Generate(resumable(), metadata=SHOP))
        resume = going_on(messages[3].SerializeToString())
        assert reason(await failure_of(server.stub.Generate(resume, metadata=STUDIO))) == "JOB_NOT_FOUND"
        cancel = generate_pb2.CancelGenerateRequest(request_id=REQUEST_ID)
        assert reason(await failure_of(server.stub.CancelGenerate(cancel, metadata=STUDIO))) == "JOB_NOT_FOUND"
        assert await read_all(server.stub.Generate(resume, metadata=SHOP)) == messages[4:]
        assert len(engine.graph_calls) == GRAPH_CALL_COUNT
        # The same id is another job where another caller sends it.
        assert kinds(await read_all(server.stub.Generate(resumable(), metadata=STUDIO)))[-1] == "summary"
    assert len(engine.graph_calls) == 2 * GRAPH_CALL_COUNT


async def test_a_job_that_nobody_reads_counts_for_its_caller() -> None:
    gate = Semaphore(3)
    async with served(FakeEngine(gate=gate), caller_max_jobs=1) as server:
        await read_and_break(server, resumable(), 2)
        assert reason(await failure_of(server.stub.Generate(generate_request()))) == "QUOTA_EXCEEDED"
        gate.release(7)
        await server.reaches("stillcue_running_jobs", 0)
        gate.release(GRAPH_CALL_COUNT)
        assert kinds(await read_all(server.stub.Generate(generate_request())))[-1] == "summary"


async def test_a_caller_whose_streams_are_all_taken_can_end_one(tmp_path: Path) -> None:
    gate = Semaphore(3)
    async with served(FakeEngine(gate=gate), callers=callers(tmp_path, "max_streams=1")) as server:
        call = server.stub.Generate(resumable(), metadata=SHOP)
        await anext(aiter(call))
        await server.stub.CancelGenerate(generate_pb2.CancelGenerateRequest(request_id=REQUEST_ID), metadata=SHOP)
        assert reason(await failure_of(call)) == "CANCELLED"
        gate.release(1)


async def test_tokens_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with served(FakeEngine()) as server:
        messages = await read_all(server.stub.Generate(resumable()))
        await read_all(server.stub.Generate(going_on(messages[4].SerializeToString())))
        await failure_of(server.stub.Generate(generate_pb2.GenerateRequest(resume_token="secret-that-is-wrong")))
    assert "call ended" in caplog.text
    for secret in ("secret-that-is-wrong", *(message.resume_token for message in messages)):
        assert secret not in caplog.text
        assert not any(secret in str(vars(record)) for record in caplog.records if record.name.startswith("server"))
