"""Caller identity by token or certificate over real sockets: who is accepted, which errors and logs result."""

from __future__ import annotations

import hmac
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

import stillcue
from engine.testing.fake_engine import FakeEngine
from server.errors.refusals import TokenUnknown
from server.security import callers as callers_module
from server.security.caller import CallerLimits
from server.security.callers import hash_of
from server.security.guard import Guard
from server.security.new_token import main as new_token
from server.security.quotas import Quotas
from server.settings import SettingInvalid, Settings
from stillcue.v1 import capabilities_pb2, match_pb2, media_pb2
from tests.certificates import Signer
from tests.serving import PROMPT, detail, failure_of, generate_request, kinds, png, read_all, reason, served, stub_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TOKEN = "stillcue_a-token-of-this-test"
EXPIRED = "stillcue_a-token-of-yesterday"
CAPABILITIES = capabilities_pb2.GetCapabilitiesRequest()


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


@pytest.fixture
def callers(tmp_path: Path) -> Path:
    path = tmp_path / "callers"
    path.write_text(
        f"# who may call\n\nbilling {hash_of(TOKEN)} max_jobs=4 # the shop\n"
        f"billing {hash_of(EXPIRED)} max_jobs=4 expires=2020-01-01T00:00:00Z\n"
        "render.example certificate\n"
    )
    return path


REFUSED: dict[str, tuple[tuple[tuple[str, str], ...], str]] = {
    "no token": ((), "TOKEN_MISSING"),
    "another token": (bearer("stillcue_guessed"), "TOKEN_UNKNOWN"),
    "an empty token": (bearer(""), "TOKEN_UNKNOWN"),
    "the hash": (bearer(hash_of(TOKEN)), "TOKEN_UNKNOWN"),
    "another scheme": ((("authorization", f"Basic {TOKEN}"),), "TOKEN_UNKNOWN"),
    "two tokens": (bearer(TOKEN) * 2, "TOKEN_UNKNOWN"),
    "an expired token": (bearer(EXPIRED), "TOKEN_EXPIRED"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_caller_without_a_good_token_learns_nothing(
    name: str, callers: Path, caplog: pytest.LogCaptureFixture, promise: Callable[[str, str], None]
) -> None:
    metadata, told = REFUSED[name]
    caplog.set_level(logging.DEBUG)
    engine = FakeEngine()
    async with served(engine, callers=callers) as server:
        # Wrong in itself, and larger than the server reads.
        request = generate_request(prompt=" ", image=media_pb2.Image(data=bytes(10 * 2**20)))
        errors = [
            await failure_of(server.stub.Generate(request, metadata=metadata)),
            await failure_of(server.stub.ScoreMatch(match_pb2.ScoreMatchRequest(), metadata=metadata)),
            await failure_of(server.stub.GetCapabilities(CAPABILITIES, metadata=metadata)),
        ]
        handled = "grpc_server_handled_total{grpc_code=UNAUTHENTICATED,grpc_method=Generate,"
        handled += "grpc_service=stillcue.v1.StillcueService,grpc_type=server_stream}"
        assert await server.sample(handled) == 1
        assert await server.sample(f"stillcue_jobs_rejected_total{{reason={told.lower()}}}") == 1
    for error in errors:
        assert error.code() is grpc.StatusCode.UNAUTHENTICATED
        assert reason(error) == told
        assert detail(error, error_details_pb2.BadRequest) is None
        for secret in (TOKEN, EXPIRED, "guessed"):
            assert secret not in f"{error.details()}{error.trailing_metadata()}"
            assert secret not in caplog.text
            assert secret not in str([vars(record) for record in caplog.records])
    assert engine.graph_calls == []
    promise("identity", f"{name}: {told}, no secret in the log")


async def test_a_caller_with_a_token_is_served_and_named_in_the_log(
    callers: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "server.rpc.interceptors")
    async with served(FakeEngine(), callers=callers) as server:
        target = str(server.address)
        async with stillcue.AsyncClient(target, token=TOKEN) as client:
            await client.capabilities()
            await client.score_match(png(), PROMPT)
            async with client.generate(png(), PROMPT) as stream:
                assert isinstance([event async for event in stream][-1], stillcue.Summary)
        metadata = (("authorization", f"bearer   {TOKEN}"),)  # the scheme's case and blanks do not count
        assert kinds(await read_all(server.stub.Generate(generate_request(), metadata=metadata)))[-1] == "summary"
    ended = [vars(record)["fields"] for record in caplog.records if record.getMessage() == "call ended"]
    assert [(item["caller"], item["code"]) for item in ended] == [("billing", "OK")] * 4
    assert TOKEN not in str(ended)
    assert PROMPT not in caplog.text


async def test_health_is_open_and_reflection_is_not(callers: Path) -> None:
    async with served(FakeEngine(), callers=callers) as server:
        answer = await health_pb2_grpc.HealthStub(server.channel).Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        question = reflection_pb2.ServerReflectionRequest(list_services="")
        stub = reflection_pb2_grpc.ServerReflectionStub(server.channel)
        error = await failure_of(stub.ServerReflectionInfo(iter([question])))
        assert reason(error) == "TOKEN_MISSING"
        answers = stub.ServerReflectionInfo(iter([question]), metadata=bearer(TOKEN))
        assert [len(item.list_services_response.service) async for item in answers] == [3]


async def test_the_file_is_read_again_when_it_changes(callers: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with served(FakeEngine(), callers=callers) as server:

        async def is_served(token: str) -> bool:
            call = server.stub.GetCapabilities(CAPABILITIES, metadata=bearer(token))
            return await call.code() is grpc.StatusCode.OK

        assert [await is_served(TOKEN), await is_served("new")] == [True, False]
        callers.write_text(f"billing {hash_of('new')}\n")
        assert [await is_served(TOKEN), await is_served("new")] == [False, True]
        callers.write_text(f"billing {hash_of(TOKEN)} max_jobs=many\n")
        assert [await is_served(TOKEN), await is_served("new")] == [False, True]
        callers.unlink()
        assert [await is_served(TOKEN), await is_served("new")] == [False, True]
    faults = [vars(record)["fields"]["fault"] for record in caplog.records if record.levelno == logging.ERROR]
    assert faults == [
        f"{callers} line 1: 'max_jobs=many' is not a whole number from 0 to 1000000; 0 is no limit",
        f"{callers} cannot be read: no such file or directory",
    ]


async def test_a_certificate_stands_for_a_token_where_its_name_is_listed(
    tmp_path: Path, callers: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "server.rpc.interceptors")
    signer = Signer()
    (tmp_path / "clients.pem").write_bytes(signer.pem)
    files = signer.sign("127.0.0.1").write(tmp_path, "server") | {"tls_client_ca": tmp_path / "clients.pem"}

    async def call(address: str, name: str, token: str | None = None) -> str:
        shown: Any = signer.sign(name).of_client
        async with stillcue.AsyncClient(address, root_certificates=signer.pem, token=token, **shown) as client:
            try:
                await client.capabilities()
            except stillcue.AccessDenied as error:
                return f"{error.status} {error.reason}"
        return "OK"

    async with served(FakeEngine(), callers=callers, **files) as server:
        address = str(server.address)
        assert await call(address, "render.example") == "OK"
        assert await call(address, "other.example") == "PERMISSION_DENIED CALLER_UNKNOWN"
        assert await call(address, "other.example", TOKEN) == "OK"
        assert await call(address, "render.example", "wrong") == "UNAUTHENTICATED TOKEN_UNKNOWN"
    async with served(FakeEngine(), **files) as server:  # no file: whoever has a certificate
        assert await call(str(server.address), "other.example") == "OK"
    ended = [vars(record)["fields"] for record in caplog.records if record.getMessage() == "call ended"]
    assert [item.get("caller") for item in ended] == ["render.example", None, "billing", None, "other.example"]


@pytest.mark.parametrize("token", [TOKEN, "last", "nobody's"])
def test_every_hash_is_compared_whoever_calls(token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "callers"
    path.write_text("".join(f"c{number} {hash_of(each)}\n" for number, each in enumerate([TOKEN, "middle", "last"])))
    known = callers_module.read_callers(path, CallerLimits())
    compared: list[int] = []

    def compare(first: bytes, second: bytes) -> bool:
        compared.append(len(second))
        return hmac.compare_digest(first, second)

    monkeypatch.setattr(callers_module, "hmac", type("Spy", (), {"compare_digest": staticmethod(compare)}))
    try:
        known.by_token(token, datetime.now(UTC))
    except TokenUnknown:
        assert token == "nobody's"
    assert compared == [32, 32, 32]


HASH = hash_of(TOKEN)
WRONG_LINES = {
    "billing": "a line is a name, a proof and limits",
    f"billing {TOKEN}": "the second word is neither sha256: with 64 hex digits nor certificate",
    f"billing {HASH[:-1]}": "the second word is neither sha256:",
    f"billing {HASH} max_job=1": "'max_job' is not one of max_jobs, max_requests_per_minute, max_streams, expires",
    f"billing {HASH} max_jobs=-1": "'max_jobs=-1' is not a whole number from 0 to 1000000",
    f"billing {HASH} expires=soon": "expires='soon' is not a time such as 2027-01-31T00:00:00Z",
    f"billing {HASH}\nbilling certificate max_jobs=1": "line 2: billing has other limits in a line above",
    "billing certificate expires=2027-01-01": "a certificate holds its own expiry",
    f"bïlling {HASH}": "a name is 1 to 128 printable ASCII characters",
}


@pytest.mark.parametrize("text", WRONG_LINES)
def test_a_wrong_file_stops_the_start_and_shows_no_secret(text: str, tmp_path: Path) -> None:
    path = tmp_path / "callers"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingInvalid) as caught:
        Guard.build(Settings(engine="fake", callers=path), Quotas(), "")
    assert str(caught.value).startswith(f"--callers {path} line ")
    assert WRONG_LINES[text] in str(caught.value)
    assert TOKEN not in str(caught.value)


def make(tmp_path: Path, *flags: str, name: str = "billing") -> int:
    files = ["--callers", str(tmp_path / "callers"), "--token-file", str(tmp_path / "billing.token")]
    return new_token([name, *files, *flags])


async def test_a_new_token_is_taken_at_once(tmp_path: Path, callers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    callers.chmod(0o640)
    async with served(FakeEngine(), callers=callers) as server:
        assert make(tmp_path, "--expires-days", "30", "--max-jobs", "2", name="shop") == 0
        token = (tmp_path / "billing.token").read_text().strip()
        async with stillcue.AsyncClient(str(server.address), token=token) as client:
            await client.capabilities()
    assert len(token) >= 43
    assert (tmp_path / "billing.token").stat().st_mode & 0o777 == 0o600
    assert callers.stat().st_mode & 0o777 == 0o640
    printed = capsys.readouterr()
    assert token not in printed.out + printed.err
    line = callers.read_text().splitlines()[-1]
    assert line in printed.out
    assert line.startswith(f"shop {hash_of(token)} max_jobs=2 expires=20")
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []


def test_a_token_file_in_the_way_or_wrong_callers_change_nothing(
    tmp_path: Path, callers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = callers.read_text()
    assert make(tmp_path, "--max-jobs", "9") == 1  # billing has other limits already
    assert "billing has other limits in a line above" in capsys.readouterr().err
    assert not (tmp_path / "billing.token").exists()
    (tmp_path / "billing.token").write_text("a token")
    assert make(tmp_path, "--max-jobs", "4") == 1
    assert "exists already; give another --token-file" in capsys.readouterr().err
    assert (callers.read_text(), (tmp_path / "billing.token").read_text()) == (before, "a token")
    (tmp_path / "billing.token").unlink()
    callers.unlink()
    assert make(tmp_path) == 0
    assert callers.read_text().startswith("# name, proof, limits")


def test_options_that_no_line_can_hold_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, flags in (("two words", []), ("billing", ["--max-jobs", "-1"]), ("billing", ["--expires-days", "0"])):
        with pytest.raises(SystemExit):
            make(tmp_path, *flags, name=name)
    assert list(tmp_path.iterdir()) == []
    assert "a name is 1 to 128" in capsys.readouterr().err


async def test_metadata_above_8_kib_is_refused() -> None:
    large: Any = {"options": [("grpc.max_metadata_size", 2**20), ("grpc.absolute_max_metadata_size", 2**20)]}
    async with served(FakeEngine()) as server, grpc.aio.insecure_channel(str(server.address), **large) as channel:
        stub = stub_of(channel)
        assert (await stub.GetCapabilities(CAPABILITIES, metadata=(("x-note", "n" * 7_000),))).server_version
        error = await failure_of(stub.GetCapabilities(CAPABILITIES, metadata=(("x-note", "n" * 9_000),)))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_call_without_any_message_is_malformed() -> None:
    async with served(FakeEngine()) as server:
        channel: Any = server.channel  # the stubs of grpc want serializers; nothing is sent
        error = await failure_of(channel.stream_unary("/stillcue.v1.StillcueService/ScoreMatch")(iter([])))
    assert (error.code(), reason(error)) == (grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_REQUEST")
