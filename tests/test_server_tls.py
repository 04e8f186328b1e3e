"""TLS and mutual TLS on real sockets: which clients connect, and what a change of certificate files does."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from grpc_health.v1 import health_pb2, health_pb2_grpc

import stillcue
from engine.testing.fake_engine import FakeEngine
from server import probe
from server.security.tls import server_credentials
from server.settings import Address, SettingInvalid, Settings
from stillcue.v1 import capabilities_pb2
from tests.certificates import Identity, Signer
from tests.serving import failure_of, served, stub_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.serving import Served

HOSTS = ("localhost", "127.0.0.1")


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer()


@pytest.fixture(scope="module")
def stranger() -> Signer:
    return Signer()


@pytest.fixture
def files(tmp_path: Path, signer: Signer) -> dict[str, Any]:
    """The server's certificate and key."""
    return signer.sign(*HOSTS).write(tmp_path, "server")


@pytest.fixture
def client_ca(tmp_path: Path, signer: Signer) -> dict[str, Path]:
    path = tmp_path / "clients.pem"
    path.write_bytes(signer.pem)
    return {"tls_client_ca": path}


async def outcome(server: Served, **connection: Any) -> str:
    """How a call over a new connection ends: OK, or its status."""
    async with stillcue.AsyncClient(str(server.address), **connection) as client:
        try:
            await client.capabilities(timeout_seconds=20)
        except stillcue.StillcueError as error:
            return error.status
    return "OK"


@pytest.mark.parametrize(
    ("mode", "outcomes"),
    [
        ("plain text", ["OK", "UNAVAILABLE", "UNAVAILABLE"]),
        ("TLS", ["UNAVAILABLE", "OK", "OK"]),
        ("mutual TLS", ["UNAVAILABLE", "UNAVAILABLE", "OK"]),
    ],
)
async def test_every_kind_of_client_meets_every_kind_of_server(
    mode: str,
    outcomes: list[str],
    files: dict[str, Any],
    client_ca: dict[str, Path],
    signer: Signer,
    promise: Callable[[str, str], None],
) -> None:
    settings = {"plain text": {}, "TLS": files, "mutual TLS": files | client_ca}[mode]
    trusting: dict[str, Any] = {"root_certificates": signer.pem}
    async with served(FakeEngine(), **settings) as server:
        assert [
            await outcome(server),
            await outcome(server, **trusting),
            await outcome(server, **trusting, **signer.sign("render.example").of_client),
        ] == outcomes
    promise("identity", f"{mode}: {outcomes.count('OK')} of 3 kinds of client let in, as they should be")


async def test_a_client_of_another_authority_or_of_yesterday_does_not_connect(
    files: dict[str, Any],
    client_ca: dict[str, Path],
    signer: Signer,
    stranger: Signer,
    promise: Callable[[str, str], None],
) -> None:
    async with served(FakeEngine(), **files, **client_ca) as server:
        for identity in (stranger.sign("render.example"), signer.sign_expired("render.example")):
            assert await outcome(server, root_certificates=signer.pem, **identity.of_client) == "UNAVAILABLE"
        good = signer.sign("render.example").of_client
        assert await outcome(server, root_certificates=stranger.pem, **good) == "UNAVAILABLE"
        assert await outcome(server, root_certificates=signer.pem, **good) == "OK"
    promise("identity", "another authority, an expired certificate, a distrusted server: 3 of 3 do not connect")


@pytest.mark.parametrize("fault", ["expired", "another host"])
async def test_a_client_refuses_a_bad_server(fault: str, tmp_path: Path, signer: Signer) -> None:
    identity = signer.sign_expired(*HOSTS) if fault == "expired" else signer.sign("elsewhere.example")
    async with served(FakeEngine(), **identity.write(tmp_path, "bad")) as server:
        assert await outcome(server, root_certificates=signer.pem) == "UNAVAILABLE"


async def test_a_renewed_certificate_serves_the_next_connection(
    tmp_path: Path, files: dict[str, Any], signer: Signer, stranger: Signer
) -> None:
    async with (
        served(FakeEngine(), **files) as server,
        stillcue.AsyncClient(str(server.address), root_certificates=signer.pem) as open_client,
    ):
        await open_client.capabilities()
        stranger.sign(*HOSTS).write(tmp_path, "server")
        assert await outcome(server, root_certificates=stranger.pem) == "OK"
        assert await outcome(server, root_certificates=signer.pem) == "UNAVAILABLE"
        await open_client.capabilities()  # its connection stays


async def test_an_authority_of_clients_that_is_replaced_refuses_the_next_connection(
    files: dict[str, Any], client_ca: dict[str, Path], signer: Signer, stranger: Signer
) -> None:
    async with served(FakeEngine(), **files, **client_ca) as server:
        client_ca["tls_client_ca"].write_bytes(stranger.pem)
        old, new = signer.sign("render.example"), stranger.sign("render.example")
        assert await outcome(server, root_certificates=signer.pem, **old.of_client) == "UNAVAILABLE"
        assert await outcome(server, root_certificates=signer.pem, **new.of_client) == "OK"


async def test_wrong_files_leave_the_last_good_ones_in_place(
    files: dict[str, Any], signer: Signer, stranger: Signer, caplog: pytest.LogCaptureFixture
) -> None:
    other_key = stranger.sign(*HOSTS).key
    async with served(FakeEngine(), **files) as server:
        files["tls_private_key"].write_bytes(other_key)
        assert await outcome(server, root_certificates=signer.pem) == "OK"
        assert await outcome(server, root_certificates=signer.pem) == "OK"
    told = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.getMessage() for record in told] == ["changed files are wrong, the last good ones stay"]
    assert "key values mismatch" in vars(told[0])["fields"]["fault"]
    assert other_key.decode().splitlines()[1] not in str(vars(told[0]))


def encrypted(identity: Identity) -> Identity:
    key = load_pem_private_key(identity.key, None)
    protection = BestAvailableEncryption(b"a password")
    return Identity(identity.chain, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection))


def test_wrong_files_stop_the_start(tmp_path: Path, signer: Signer, stranger: Signer) -> None:
    good, other = signer.sign(*HOSTS), stranger.sign(*HOSTS)
    faults = {
        "missing": (Identity(good.chain, good.key), "cannot be read: no such file or directory"),
        "mismatched": (Identity(good.chain, other.key), "key values mismatch"),
        "encrypted": (encrypted(good), "the key is encrypted"),
        "no-pem": (Identity(b"nothing", good.key), "give PEM files"),
    }
    for name, (identity, message) in faults.items():
        paths = identity.write(tmp_path, name)
        if name == "missing":
            paths["tls_private_key"].unlink()
        with pytest.raises(SettingInvalid, match=message) as caught:
            server_credentials(Settings(engine="fake", **paths))
        assert str(paths["tls_private_key"]) in str(caught.value)
        assert "\n" not in str(caught.value)
    (tmp_path / "empty.pem").write_text("nothing")
    with pytest.raises(SettingInvalid, match=r"empty\.pem holds no certificates"):
        server_credentials(
            Settings(engine="fake", tls_client_ca=tmp_path / "empty.pem", **good.write(tmp_path, "good"))
        )


async def test_health_alone_is_served_in_plain_text_beside_mutual_tls(
    files: dict[str, Any],
    client_ca: dict[str, Path],
    unused_tcp_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address = Address("127.0.0.1", unused_tcp_port)
    monkeypatch.setenv("STILLCUE_HEALTH_LISTEN", str(address))
    async with served(FakeEngine(), health_listen=address, **files, **client_ca) as server:
        async with grpc.aio.insecure_channel(str(address)) as channel:
            answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
            request = capabilities_pb2.GetCapabilitiesRequest()
            error = await failure_of(stub_of(channel).GetCapabilities(request))
            assert error.code() is grpc.StatusCode.UNIMPLEMENTED
        assert await asyncio.to_thread(probe.main) == 0
        assert await outcome(server) == "UNAVAILABLE"
    assert await asyncio.to_thread(probe.main) == 1


def test_the_probe_says_what_it_needs_beside_tls(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STILLCUE_TLS_CERTIFICATE_CHAIN", "server.pem")
    monkeypatch.setenv("STILLCUE_TLS_PRIVATE_KEY", "server.key")
    assert probe.main() == 2
    assert capsys.readouterr().err == (
        "stillcue: the probe does not use TLS; set STILLCUE_HEALTH_LISTEN=127.0.0.1:50052 for server and probe\n"
    )
