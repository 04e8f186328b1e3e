"""Bytes that are no message, and messages above the limit."""

from __future__ import annotations

from typing import Any

import grpc
import grpc.aio
import pytest

from engine.testing.fake_engine import FakeEngine
from tests.serving import failure_of, generate_request, kinds, read_all, reason, served
from tests.test_server_refusals import INVALID_ARGUMENT


@pytest.mark.parametrize("method", ["Generate", "ScoreMatch"])
async def test_bytes_that_are_no_message_are_the_callers_fault(method: str) -> None:
    invalid_utf8 = b"\x1a\x02\xff\xfe" if method == "Generate" else b"\x12\x02\xff\xfe"
    async with served(FakeEngine()) as server:
        multi_callable: Any = server.channel.unary_stream if method == "Generate" else server.channel.unary_unary
        error = await failure_of(multi_callable(f"/stillcue.v1.StillcueService/{method}")(invalid_utf8))
    assert error.code() is INVALID_ARGUMENT
    assert reason(error) == "MALFORMED_REQUEST"


async def test_bytes_that_are_no_message_of_a_stream_are_the_callers_fault() -> None:
    async with served(FakeEngine()) as server:
        anything: Any = server.channel
        method = anything.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
        error = await failure_of(method(iter([b"\x1a\x02\xff\xfe"])))
    assert error.code() is INVALID_ARGUMENT
    assert reason(error) == "MALFORMED_REQUEST"


async def test_a_message_above_the_limit_is_refused_by_grpc() -> None:
    async with served(FakeEngine()) as server:
        error = await failure_of(server.stub.Generate(generate_request(prompt="x" * 10 * 2**20)))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert kinds(await read_all(server.stub.Generate(generate_request())))[-1] == "summary"
