"""Connections that fail, and channels in plain text and with TLS."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import grpc
import pytest

import stillcue
from stillcue.channel import channel_credentials, is_loopback
from stillcue.cli.failures import describe
from tests.client_calls import generate, generate_asynchronously
from tests.scripted_server import ScriptedServer, serving

if TYPE_CHECKING:
    from pathlib import Path


async def test_nobody_listens() -> None:
    with serving(ScriptedServer()) as server:
        target = server.target
    with pytest.raises(stillcue.Unavailable) as caught:
        generate(target)
    assert f"is it running at {target}?" in describe(caught.value, target)
    with pytest.raises(stillcue.Unavailable):
        await generate_asynchronously(target)
    with stillcue.Client(target) as client:
        with pytest.raises(stillcue.Unavailable):
            client.score_match(b"a picture", "A boat.")
        with pytest.raises(stillcue.Unavailable) as unary:
            client.capabilities()
    assert unary.value.request_id is None
    async with stillcue.AsyncClient(target) as asynchronous:
        with pytest.raises(stillcue.Unavailable):
            await asynchronous.score_match(b"a picture", "A boat.")


def test_tls_to_a_plaintext_server_is_unavailable(server: ScriptedServer) -> None:
    with stillcue.Client(server.target, tls=True) as client, pytest.raises(stillcue.Unavailable):
        client.capabilities()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
async def test_tls_with_a_certificate_of_ones_own(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    arguments = [
        *make.split(),
        "-addext",
        "subjectAltName=DNS:localhost",
        "-keyout",
        str(key),
        "-out",
        str(certificate),
    ]
    subprocess.run(arguments, check=True, capture_output=True)
    credentials = grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])
    with serving(ScriptedServer(), credentials) as server:
        target = f"localhost:{server.port}"
        with stillcue.Client(target, root_certificates=certificate.read_bytes(), token="secret") as client:
            assert client.capabilities().server_version == "1.2.3"
        async with stillcue.AsyncClient(target, root_certificates=certificate.read_bytes()) as asynchronous:
            assert (await asynchronous.capabilities()).server_version == "1.2.3"
        with stillcue.Client(target, tls=True) as stranger, pytest.raises(stillcue.Unavailable):
            stranger.capabilities()
        with stillcue.Client(target) as plaintext, pytest.raises(stillcue.Unavailable):
            plaintext.capabilities()
    assert [metadata.get("authorization") for metadata in server.metadata] == ["Bearer secret", None]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("localhost:50051", True),
        ("127.0.0.1:50051", True),
        ("127.1.2.3", True),
        ("[::1]:50051", True),
        ("::1", True),
        ("unix:/run/stillcue.sock", True),
        ("unix-abstract:stillcue", True),
        ("dns:///localhost:50051", True),
        ("ipv4:127.0.0.1:50051", True),
        ("ipv6:[::1]:50051", True),
        ("LOCALHOST:50051", True),
        ("ipv4:127.0.0.1:50051,127.0.0.2:50051", True),
        ("ipv4:127.0.0.1:50051,10.0.0.1:50051", False),
        ("dns://10.0.0.1/localhost:50051", False),
        ("dns:localhost:50051", True),
        ("ip6-localhost:50051", False),
        ("127.1:50051", False),
        ("xds:///localhost", False),
        ("stillcue.example:443", False),
        ("dns:///stillcue.example:443", False),
        ("10.0.0.1:50051", False),
        ("[2001:db8::1]:50051", False),
        ("localhost.example:50051", False),
    ],
)
def test_only_this_machine_is_spoken_to_in_plaintext_unasked(target: str, expected: bool) -> None:
    assert is_loopback(target) is expected
    assert (channel_credentials(target, tls=None, root_certificates=None) is None) is expected
    assert channel_credentials(target, tls=False, root_certificates=None) is None
    assert channel_credentials(target, tls=True, root_certificates=None) is not None


def test_certificates_without_tls_are_refused() -> None:
    with pytest.raises(ValueError, match="root_certificates"):
        stillcue.Client("localhost:50051", tls=False, root_certificates=b"PEM")
