"""Proxies of the environment, with a proxy on a socket that records what it hears.

No proxy is asked for this machine, so that none reads a token; for other machines the error names the variable.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
import pytest
from google.rpc import error_details_pb2

import stillcue
from stillcue.cli import main
from stillcue.proxies import proxy_to
from stillcue.v1 import match_pb2
from tests.certificates import Signer
from tests.recording_proxy import RecordingProxy
from tests.scripted_server import ScriptedServer, refuse, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "stillcue_a-secret-of-this-test"
METHOD = "/stillcue.v1.StillcueService/GetCapabilities"
VARIABLES = ("grpc_proxy", "https_proxy", "http_proxy", "all_proxy", "no_proxy", "no_grpc_proxy")
ADDRESS_VARIABLES = ("GRPC_ADDRESS_HTTP_PROXY", "GRPC_ADDRESS_HTTP_PROXY_ENABLED_ADDRESSES")
HERE = ["localhost:{}", "LOCALHOST:{}", "127.0.0.1:{}", "dns:///localhost:{}", "ipv4:127.0.0.1:{}"]


@pytest.fixture(autouse=True)
def _no_proxy_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*VARIABLES, *(name.upper() for name in VARIABLES), *ADDRESS_VARIABLES):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def proxy(server: ScriptedServer) -> Iterator[RecordingProxy]:
    with RecordingProxy(server.port) as running:
        yield running


def dead_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


async def call_with_both_clients(target: str, server: ScriptedServer) -> None:
    before = len(server.metadata)
    with stillcue.Client(target, token=TOKEN) as client:
        client.capabilities(timeout_seconds=20)
    async with stillcue.AsyncClient(target, token=TOKEN) as asynchronous:
        await asynchronous.capabilities(timeout_seconds=20)
    assert [item.get("authorization") for item in server.metadata[before:]] == [f"Bearer {TOKEN}"] * 2


@pytest.mark.parametrize(
    "variable",
    ["grpc_proxy", "https_proxy", "http_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy", "address"],
)
async def test_no_proxy_hears_of_calls_to_this_machine(
    variable: str, proxy: RecordingProxy, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    if variable == "address":
        monkeypatch.setenv(ADDRESS_VARIABLES[0], proxy.url.removeprefix("http://"))
        monkeypatch.setenv(ADDRESS_VARIABLES[1], "127.0.0.1,127.0.0.0/8")
    else:
        monkeypatch.setenv(variable, proxy.url)
    for target in HERE:
        await call_with_both_clients(target.format(server.port), server)
    assert proxy.heard == b""


@pytest.mark.parametrize("variable", ["grpc_proxy", "https_proxy", "http_proxy", "address"])
def test_a_channel_without_the_options_would_show_the_token(
    variable: str, proxy: RecordingProxy, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above can fail: gRPC alone asks the proxy, which reads the token."""
    if variable == "address":
        monkeypatch.setenv(ADDRESS_VARIABLES[0], proxy.url.removeprefix("http://"))
        monkeypatch.setenv(ADDRESS_VARIABLES[1], "127.0.0.1,127.0.0.0/8")
    else:
        monkeypatch.setenv(variable, proxy.url)
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        call: Any = channel
        call.unary_unary(METHOD)(b"", metadata=(("authorization", f"Bearer {TOKEN}"),), timeout=20)
    assert proxy.heard.startswith(f"CONNECT 127.0.0.1:{server.port} HTTP/1.1\r\n".encode())
    assert TOKEN.encode() in proxy.heard


async def test_a_dead_proxy_does_not_hinder_calls_to_this_machine(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{dead_port()}")
    await call_with_both_clients(f"localhost:{server.port}", server)


async def test_a_proxy_to_another_machine_sees_no_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signer = Signer()
    files = signer.sign("gpu-1.example").write(tmp_path, "server")
    pair = (files["tls_private_key"].read_bytes(), files["tls_certificate_chain"].read_bytes())
    with (
        serving(ScriptedServer(), grpc.ssl_server_credentials([pair])) as server,
        RecordingProxy(server.port) as proxy,
    ):
        monkeypatch.setenv("https_proxy", proxy.url)
        with stillcue.Client("gpu-1.example:50051", root_certificates=signer.pem, token=TOKEN) as client:
            client.capabilities(timeout_seconds=20)
        async with stillcue.AsyncClient("gpu-1.example:50051", root_certificates=signer.pem, token=TOKEN) as other:
            await other.capabilities(timeout_seconds=20)
    assert proxy.heard.count(b"CONNECT gpu-1.example:50051 HTTP/1.1\r\n") == 2
    assert TOKEN.encode() not in proxy.heard
    assert [item["authorization"] for item in server.metadata] == [f"Bearer {TOKEN}"] * 2


@pytest.mark.parametrize("answer", ["dead", "403 Forbidden", "407 Proxy Authentication Required"])
@pytest.mark.parametrize("is_encrypted", [True, False])
async def test_a_proxy_that_fails_is_named_without_its_password(
    answer: str, is_encrypted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RecordingProxy(dead_port(), answer) as proxy:
        address = f"127.0.0.1:{dead_port()}" if answer == "dead" else proxy.url.removeprefix("http://")
        monkeypatch.setenv("https_proxy", f"http://user:secret@{address}/")
        note = (
            f"; the environment variable https_proxy sends the call through the proxy {address}; to call gpu-1.example "
            "directly, add it to no_proxy or unset https_proxy"
        )
        told: list[str] = []
        with stillcue.Client("gpu-1.example:50051", tls=is_encrypted) as client:
            for call in (
                client.capabilities,
                lambda: client.score_match(b"a picture", "A boat."),
                lambda: list(client.generate(b"a picture", "A boat.", resume_window_seconds=0)),
            ):
                with pytest.raises(stillcue.Unavailable) as caught:
                    call()
                told.append(str(caught.value))
        async with stillcue.AsyncClient("gpu-1.example:50051", tls=is_encrypted) as other:
            with pytest.raises(stillcue.Unavailable) as caught:
                await other.capabilities()
            told.append(str(caught.value))
            with pytest.raises(stillcue.Unavailable) as caught:
                await anext(other.generate(b"a picture", "A boat.", resume_window_seconds=0))
            told.append(str(caught.value))
    assert all(text.endswith(note) for text in told)
    assert all("secret" not in text and "user:" not in text for text in told)


def test_the_command_line_names_the_proxy(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("http_proxy", f"http://user:secret@127.0.0.1:{dead_port()}")
    assert main(["capabilities", "--server", "gpu-1.example:50051"]) == 1
    told = capsys.readouterr().err
    assert "to call gpu-1.example directly, add it to no_proxy or unset http_proxy" in told
    assert "secret" not in told


def test_an_answer_of_the_server_does_not_blame_the_proxy(
    proxy: RecordingProxy, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def score(_request: match_pb2.ScoreMatchRequest, context: Any) -> NoReturn:
        refuse(context, grpc.StatusCode.UNAVAILABLE, "draining", error_details_pb2.ErrorInfo(reason="SERVER_DRAINING"))

    monkeypatch.setenv("http_proxy", proxy.url)
    server.score = score
    with stillcue.Client("gpu-1.example:50051", tls=False) as client, pytest.raises(stillcue.Unavailable) as caught:
        client.score_match(b"a picture", "A boat.", timeout_seconds=20)
    assert str(caught.value) == "draining"
    assert b"CONNECT gpu-1.example:50051" in proxy.heard


# Each environment, PROXY for the proxy's address, and whether gRPC asks the proxy for a call to 127.0.0.1.
ENVIRONMENTS: list[tuple[dict[str, str], bool]] = [
    ({"http_proxy": "http://PROXY"}, True),
    ({"http_proxy": "http://user:secret@PROXY/path"}, True),
    ({"http_proxy": "HTTP://PROXY"}, True),
    ({"http_proxy": "PROXY"}, False),
    ({"http_proxy": "https://PROXY"}, False),
    ({"http_proxy": "socks5://PROXY"}, False),
    ({"http_proxy": ""}, False),
    ({"HTTP_PROXY": "http://PROXY"}, False),
    ({"HTTPS_PROXY": "http://PROXY"}, False),
    ({"all_proxy": "http://PROXY"}, False),
    ({"grpc_proxy": "", "http_proxy": "http://PROXY"}, False),
    ({"grpc_proxy": "http://PROXY", "https_proxy": ""}, True),
    ({"https_proxy": "ftp://PROXY", "http_proxy": "http://PROXY"}, False),
    ({"http_proxy": "http://PROXY", "no_proxy": "127.0.0.1"}, False),
    ({"http_proxy": "http://PROXY", "no_proxy": "example, 127.0.0.0/8"}, False),
    ({"http_proxy": "http://PROXY", "no_proxy": "0.0.1"}, False),
    ({"http_proxy": "http://PROXY", "no_proxy": "127.0.0"}, True),
    ({"http_proxy": "http://PROXY", "no_proxy": "*"}, True),
    ({"http_proxy": "http://PROXY", "no_proxy": ""}, True),
    ({"http_proxy": "http://PROXY", "no_proxy": " "}, True),
    ({"http_proxy": "http://PROXY", "no_proxy": "example, ,x"}, True),
    ({"http_proxy": "http://PROXY", "no_proxy": "10.0.0.0/8"}, True),
    ({"http_proxy": "http://PROXY", "no_proxy": "127.0.0.0/x"}, True),
    ({"http_proxy": "http://PROXY", "NO_PROXY": "127.0.0.1"}, True),
    ({"http_proxy": "http://PROXY", "no_grpc_proxy": "example", "no_proxy": "127.0.0.1"}, True),
    ({"http_proxy": "http://PROXY", "no_grpc_proxy": "127.0.0.1", "no_proxy": "example"}, False),
]


@pytest.mark.parametrize(("environment", "is_asked"), ENVIRONMENTS, ids=str)
def test_the_client_knows_when_grpc_takes_a_proxy(
    environment: dict[str, str],
    is_asked: bool,
    proxy: RecordingProxy,
    server: ScriptedServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    variables = {name: value.replace("PROXY", proxy.url[7:]) for name, value in environment.items()}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    target = f"127.0.0.1:{server.port}"
    with grpc.insecure_channel(target) as channel:
        call: Any = channel
        call.unary_unary(METHOD)(b"", timeout=20)
    assert (b"CONNECT" in proxy.heard) is is_asked
    assert (proxy_to(target, variables) is not None) is is_asked


@pytest.mark.parametrize(
    ("target", "variables", "remedy"),
    [
        ("gpu-1.example:1", {"http_proxy": "http://p:3"}, "add it to no_proxy or unset http_proxy"),
        ("dns:///gpu-1.example:1", {"https_proxy": "http://p:3"}, "call gpu-1.example directly, add it to no_proxy"),
        ("[2001:db8::1]:1", {"grpc_proxy": "http://p:3"}, "call 2001:db8::1 directly"),
        ("gpu-1.example:1", {"grpc_proxy": "http://p:3", "no_grpc_proxy": "x"}, "add it to no_grpc_proxy"),
    ],
)
def test_the_remedy_names_the_variables_that_count(target: str, variables: dict[str, str], remedy: str) -> None:
    proxy = proxy_to(target, variables)
    assert proxy is not None
    assert remedy in proxy.remedy


@pytest.mark.parametrize("target", ["unix:/run/stillcue.sock", "unix-abstract:stillcue", "vsock:2:1"])
def test_sockets_take_no_proxy(target: str) -> None:
    assert proxy_to(target, {"http_proxy": "http://p:3"}) is None
