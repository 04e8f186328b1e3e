"""Starts real servers on free ports for the server's tests; each test brings its own engine."""

from __future__ import annotations

import asyncio
import io
import urllib.request
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

import grpc
import grpc.aio
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from server.lifecycle.server import Server
from server.settings import Address, Settings, UnixAddress
from stillcue.proxies import DIRECT
from stillcue.v1 import generate_pb2, media_pb2, service_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from engine.api.engine import Engine

PROMPT = "a red fox turns its head"  # 6 words: score 60; 24 characters
REQUEST_ID = "6f1c2f6e-0d0c-4c53-9d4a-0a8f3a1f5c11"
PATIENCE_SECONDS = 20.0
_M = TypeVar("_M", bound=Message)


def png(width_px: int = 32, height_px: int = 32) -> bytes:
    """Returns a grey PNG file."""
    buffer = io.BytesIO()
    Image.new("RGB", (width_px, height_px), "grey").save(buffer, "PNG")
    return buffer.getvalue()


def generate_request(**fields: Any) -> generate_pb2.GenerateRequest:
    """Returns a valid request for the fake engine: 9 raw frames of 32x32 in 4 steps, seed 7."""
    request = generate_pb2.GenerateRequest(
        request_id=REQUEST_ID,
        image=media_pb2.Image(data=png()),
        prompt=PROMPT,
        sampling=generate_pb2.SamplingSpec(seed=7),
        stream=generate_pb2.StreamSpec(frame_encoding=media_pb2.FRAME_ENCODING_RAW_RGB),
    )
    request.MergeFrom(generate_pb2.GenerateRequest(**fields))
    return request


@dataclass(frozen=True)
class Served:
    """A running server, seen from outside."""

    server: Server
    address: Address | UnixAddress
    metrics_address: Address
    channel: grpc.aio.Channel
    stub: service_pb2_grpc.StillcueServiceAsyncStub

    @property
    def port(self) -> int:
        """The TCP port of the gRPC service."""
        assert isinstance(self.address, Address)
        return self.address.port

    async def scrape_text(self) -> str:
        """Returns the metrics page as Prometheus reads it."""
        url = f"http://{self.metrics_address}/metrics"

        def get() -> str:
            with urllib.request.urlopen(url) as response:
                return str(response.read().decode())

        return await asyncio.to_thread(get)

    async def samples(self) -> dict[str, float]:
        """Returns all samples by name and labels, such as ``stillcue_jobs_total{outcome=completed}``."""
        return {
            _sample_name(sample.name, sample.labels): sample.value
            for family in text_string_to_metric_families(await self.scrape_text())
            for sample in family.samples
        }

    async def sample(self, name: str) -> float:
        """Returns one sample; 0 if it does not exist."""
        return (await self.samples()).get(name, 0.0)

    async def reaches(self, name: str, value: float) -> None:
        """Waits until a sample has the given value."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await self.sample(name) != value:
                await asyncio.sleep(0.005)


def _sample_name(name: str, labels: dict[str, str]) -> str:
    inside = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    return f"{name}{{{inside}}}" if inside else name


@asynccontextmanager
async def served(engine: Engine, tracing: Any = None, **settings: Any) -> AsyncIterator[Served]:
    """Serves an engine on free ports and gives a channel to it; ``tracing`` None: as the settings say."""
    free = Address("127.0.0.1", 0)
    values = {"listen": free, "metrics_listen": free, "engine": "fake", **settings}
    server = Server(Settings(**values), lambda: engine, tracing=tracing)
    try:
        address, metrics_address = await server.start()
        async with grpc.aio.insecure_channel(str(address), options=DIRECT) as channel:
            yield Served(server, address, metrics_address, channel, stub_of(channel))
    finally:
        await server.stop()


def stub_of(channel: grpc.aio.Channel) -> service_pb2_grpc.StillcueServiceAsyncStub:
    """A stub of the service, typed for grpc.aio."""
    anything: Any = channel
    return cast("service_pb2_grpc.StillcueServiceAsyncStub", service_pb2_grpc.StillcueServiceStub(anything))


async def eventually(condition: Callable[[], bool]) -> None:
    """Waits until the condition is true."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():
            await asyncio.sleep(0.002)


async def read_all(call: Any) -> list[generate_pb2.GenerateResponse]:
    """Returns all messages of a stream."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        return [message async for message in call]


async def failure_of(call: Any) -> grpc.aio.AioRpcError:
    """Returns the error that a unary or streaming call ends with."""
    try:
        if hasattr(call, "__aiter__"):
            await read_all(call)
        else:
            await asyncio.wait_for(call, PATIENCE_SECONDS)
    except grpc.aio.AioRpcError as error:
        return error
    raise AssertionError("the call did not fail")


def detail(error: grpc.aio.AioRpcError, kind: type[_M]) -> _M | None:
    """Returns the detail of an error that has the given type; None if there is none."""
    anything: Any = error
    status = rpc_status.from_call(anything)
    assert status is not None
    for packed in status.details:
        found = kind()
        if packed.Unpack(found):
            return found
    return None


def reason(error: grpc.aio.AioRpcError) -> str:
    """Returns the reason in ErrorInfo, and checks that its domain is Stillcue's."""
    info = detail(error, error_details_pb2.ErrorInfo)
    assert info is not None
    assert info.domain == "stillcue"
    return str(info.reason)


def violations(error: grpc.aio.AioRpcError) -> list[tuple[str, str]]:
    """Returns the fields and descriptions in BadRequest."""
    bad_request = detail(error, error_details_pb2.BadRequest)
    assert bad_request is not None
    return [(item.field, item.description) for item in bad_request.field_violations]


def kinds(messages: list[generate_pb2.GenerateResponse]) -> list[str]:
    """Returns the kind of event of each message."""
    return [message.WhichOneof("event") or "" for message in messages]
