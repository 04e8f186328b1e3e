"""Matches that a request requires: a low one is refused after its report, and none without a scorer."""

from __future__ import annotations

import dataclasses

from google.rpc import error_details_pb2

from engine.testing.fake_engine import FAKE_CAPABILITIES, FakeEngine
from stillcue.v1 import match_pb2
from tests.serving import REQUEST_ID, detail, failure_of, generate_request, kinds, read_all, reason, served
from tests.test_server_refusals import FAILED_PRECONDITION


async def test_a_low_match_is_refused_after_its_report() -> None:
    engine = FakeEngine()
    policy = match_pb2.MatchPolicy(mode=match_pb2.MATCH_MODE_REQUIRE, minimum_score=70)
    async with served(engine) as server:
        call = server.stub.Generate(generate_request(match=policy))
        messages = [await anext(aiter(call)) for _ in range(3)]
        error = await failure_of(call)
    assert kinds(messages) == ["accepted", "stage_started", "match_report"]
    assert error.code() is FAILED_PRECONDITION
    assert reason(error) == "MATCH_REFUSED"
    info = detail(error, error_details_pb2.ErrorInfo)
    assert info is not None
    assert info.metadata == {"request_id": REQUEST_ID, "score": "60", "minimum_score": "70"}
    failure = detail(error, error_details_pb2.PreconditionFailure)
    assert failure is not None
    assert [(item.type, item.subject) for item in failure.violations] == [("MATCH_REFUSED", "match.minimum_score")]
    assert engine.graph_calls == ["match"]
    report = detail(error, match_pb2.MatchReport)
    assert report == messages[-1].match_report


async def test_the_report_of_a_refused_match_fits_into_metadata() -> None:
    """Details travel in trailing metadata, of which clients take 8 KiB; the stream's own event is whole."""
    prompt = "然后小猫跳起来，不要模糊，" * 100
    policy = match_pb2.MatchPolicy(mode=match_pb2.MATCH_MODE_REQUIRE, minimum_score=70)
    async with served(FakeEngine()) as server:
        call = server.stub.Generate(generate_request(prompt=prompt, match=policy))
        messages = [await anext(aiter(call)) for _ in range(3)]
        error = await failure_of(call)
    assert reason(error) == "MATCH_REFUSED"
    report = detail(error, match_pb2.MatchReport)
    assert report is not None
    assert report.ByteSize() <= 4_000
    whole = messages[-1].match_report
    assert whole.ByteSize() > 8_192
    assert (report.score, report.grounding) == (whole.score, whole.grounding)
    assert (
        list(report.prompt_report.findings) == list(whole.prompt_report.findings)[: len(report.prompt_report.findings)]
    )


async def test_a_match_without_a_scorer_is_refused() -> None:
    engine = FakeEngine(capabilities=dataclasses.replace(FAKE_CAPABILITIES, match_supported=False))
    policy = match_pb2.MatchPolicy(mode=match_pb2.MATCH_MODE_REPORT)
    async with served(engine) as server:
        error = await failure_of(server.stub.Generate(generate_request(match=policy)))
        assert kinds(await read_all(server.stub.Generate(generate_request())))[-1] == "summary"
    assert error.code() is FAILED_PRECONDITION
    assert reason(error) == "SCORER_MISSING"
    failure = detail(error, error_details_pb2.PreconditionFailure)
    assert failure is not None
    assert [item.subject for item in failure.violations] == ["match.mode"]
