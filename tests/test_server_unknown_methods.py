"""Calls of methods that no servicer implements: UNIMPLEMENTED after the guard, counted, and no fault of the server."""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from engine.testing.fake_engine import FakeEngine
from server.security.callers import hash_of
from server.settings import Address
from stillcue.v1 import service_pb2_grpc
from tests.serving import failure_of, reason, served

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "stillcue_a-token-of-this-test"
BEARER = (("authorization", f"Bearer {TOKEN}"),)
OTHER = "grpc_method=other,grpc_service=other,grpc_type=other"
UNKNOWN = [
    "/stillcue.v1.StillcueService/Upscale",
    "/stillcue.v2.StillcueService/Generate",
    "/stillcue.StillcueService/Generate",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/Nothing",
    "/nobody/Nothing",
    "/no/such/path",
    "/nothing",
]
UNKNOWN_HEALTH = ["/grpc.health.v1.Health/Nothing", "/grpc.health.v1.Health/check"]


def call(channel: grpc.aio.Channel, path: str, metadata: Any = ()) -> Any:
    anything: Any = channel
    return anything.unary_unary(path)(b"", metadata=metadata)


async def test_health_lists_every_service() -> None:
    async with served(FakeEngine()) as server:
        stub: Any = health_pb2_grpc.HealthStub(server.channel)
        listed = await stub.List(health_pb2.HealthListRequest())
        serving = health_pb2.HealthCheckResponse.SERVING
        assert {name: answer.status for name, answer in listed.statuses.items()} == {
            "": serving,
            "liveness": serving,
            "stillcue.v1.StillcueService": serving,
        }
        labels = "grpc_code=OK,grpc_method=List,grpc_service=grpc.health.v1.Health,grpc_type=unary"
        await server.reaches(f"grpc_server_handled_total{{{labels}}}", 1)


@pytest.mark.parametrize("path", [*UNKNOWN, *UNKNOWN_HEALTH])
async def test_an_unknown_method_is_told_and_counted(path: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        async with served(FakeEngine()) as server:
            error = await failure_of(call(server.channel, path))
            await server.reaches(f"grpc_server_handled_total{{grpc_code=UNIMPLEMENTED,{OTHER}}}", 1)
            samples = await server.samples()
    assert (error.code(), reason(error)) == (grpc.StatusCode.UNIMPLEMENTED, "UNKNOWN_METHOD")
    assert [record for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR] == []
    assert {name for name, value in samples.items() if "grpc_server_handled_total" in name and value} == {
        f"grpc_server_handled_total{{grpc_code=UNIMPLEMENTED,{OTHER}}}"
    }


async def test_any_number_of_names_has_one_label() -> None:
    async with served(FakeEngine()) as server:
        before = len(await server.samples())
        for number in range(30):
            await failure_of(call(server.channel, f"/service-{number}/Method-{number}"))
        await server.reaches(f"grpc_server_handled_total{{grpc_code=UNIMPLEMENTED,{OTHER}}}", 30)
        first = {name for name in await server.samples() if "other" in name}
        for number in range(30):
            await failure_of(call(server.channel, f"/grpc.health.v1.Health/Method-{number}"))
        await server.reaches(f"grpc_server_handled_total{{grpc_code=UNIMPLEMENTED,{OTHER}}}", 60)
        assert {name for name in await server.samples() if "other" in name} == first
        assert len(await server.samples()) - before == len(first)


async def test_a_stranger_gets_the_answer_of_other_methods(tmp_path: Path) -> None:
    (tmp_path / "callers").write_text(f"billing {hash_of(TOKEN)}\n")
    async with served(FakeEngine(), callers=tmp_path / "callers") as server:
        for path in UNKNOWN:
            assert reason(await failure_of(call(server.channel, path))) == "TOKEN_MISSING"
            assert reason(await failure_of(call(server.channel, path, BEARER))) == "UNKNOWN_METHOD"
        for path in UNKNOWN_HEALTH:  # health needs no token
            assert reason(await failure_of(call(server.channel, path))) == "UNKNOWN_METHOD"
        listed = await call(server.channel, "/grpc.health.v1.Health/List")
        assert len(health_pb2.HealthListResponse.FromString(listed).statuses) == 3


async def test_the_health_port_asks_for_no_token(tmp_path: Path) -> None:
    """The port is in plain text: an answer that asks for a token would bring callers to show one."""
    (tmp_path / "callers").write_text(f"billing {hash_of(TOKEN)}\n")

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = Address(*probe.getsockname())
    async with (
        served(FakeEngine(), callers=tmp_path / "callers", health_listen=address),
        grpc.aio.insecure_channel(str(address)) as channel,
    ):
        for path in ("/stillcue.v1.StillcueService/Generate", *UNKNOWN, *UNKNOWN_HEALTH):
            assert reason(await failure_of(call(channel, path))) == "UNKNOWN_METHOD"
        await call(channel, "/grpc.health.v1.Health/List")


@pytest.mark.parametrize(
    ("servicer", "path"),
    [
        (health_pb2_grpc.HealthServicer, "/grpc.health.v1.Health/List"),
        (health_pb2_grpc.HealthServicer, "/grpc.health.v1.Health/Watch"),
        (service_pb2_grpc.StillcueServiceServicer, "/stillcue.v1.StillcueService/ScoreMatch"),
        (service_pb2_grpc.StillcueServiceServicer, "/stillcue.v1.StillcueService/Generate"),
    ],
)
async def test_a_registered_method_without_an_implementation_is_unknown(
    servicer: Any, path: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As where a newer library or contract registers a method that the server does not know."""
    from server.rpc.health import Health
    from server.rpc.servicer import StillcueServicer

    name = path.rpartition("/")[2]
    ours = Health if servicer is health_pb2_grpc.HealthServicer else StillcueServicer
    monkeypatch.setattr(ours, name, getattr(servicer, name))
    async with served(FakeEngine()) as server:
        error = await failure_of(call(server.channel, path))
        await server.reaches(f"grpc_server_handled_total{{grpc_code=UNIMPLEMENTED,{OTHER}}}", 1)
    assert (error.code(), reason(error)) == (grpc.StatusCode.UNIMPLEMENTED, "UNKNOWN_METHOD")
    assert "NotImplementedError" not in caplog.text
