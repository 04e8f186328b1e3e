"""Calls whose streams break and are resumed, and the bytes of their events."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
from google.protobuf.duration_pb2 import Duration

from stillcue.v1 import generate_pb2
from tests.serving import PATIENCE_SECONDS, REQUEST_ID, Served, generate_request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


OTHER_ID = "00000000-0000-4000-8000-000000000000"


def resumable(seconds: float = 60, **fields: Any) -> generate_pb2.GenerateRequest:
    window = Duration()
    window.FromMilliseconds(round(seconds * 1000))
    request = generate_request(**fields)
    request.stream.resume_window.CopyFrom(window)
    return request


def going_on(event: bytes, request_id: str = REQUEST_ID) -> generate_pb2.GenerateRequest:
    """Takes a stream up again after this event."""
    token = generate_pb2.GenerateResponse.FromString(event).resume_token
    assert token
    return generate_pb2.GenerateRequest(request_id=request_id, resume_token=token)


def raw(channel: grpc.aio.Channel, request: generate_pb2.GenerateRequest, **call: Any) -> Any:
    """A Generate call whose events are the bytes of the wire."""
    method = channel.unary_stream(
        "/stillcue.v1.StillcueService/Generate",
        request_serializer=generate_pb2.GenerateRequest.SerializeToString,
        response_deserializer=None,
    )
    return method(request, **call)


async def read_bytes(call: Any) -> list[bytes]:
    async with asyncio.timeout(PATIENCE_SECONDS):
        return [event async for event in call]


async def take(call: Any, count: int) -> list[bytes]:
    events: AsyncIterator[bytes] = aiter(call)
    async with asyncio.timeout(PATIENCE_SECONDS):
        return [await anext(events) for _ in range(count)]


async def read_and_break(server: Served, request: generate_pb2.GenerateRequest, count: int) -> list[bytes]:
    """Reads some events over a connection that is then closed; returns when the server knows."""
    async with grpc.aio.insecure_channel(str(server.address)) as channel:
        events = await take(raw(channel, request), count)
    await server.reaches("stillcue_detached_jobs", 1)
    return events
