"""Certificates and tokens of the client, in the library and on the command line: what is sent to which server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

import stillcue
from engine.testing.fake_engine import FakeEngine
from server.security.callers import hash_of
from stillcue.channel import call_metadata
from stillcue.cli import commands, connection
from stillcue.cli.arguments import parse_arguments
from tests.certificates import Signer
from tests.serving import served

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "stillcue_a-secret-of-this-test"
REMOTE = "gpu-1.example:50051"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tls": False, "token": TOKEN}, f"the token would cross the network to {REMOTE} in plain text"),
        (
            {"tls": False, "certificate_chain": b"c", "private_key": b"k"},
            "certificate_chain and private_key given",
        ),
        ({"tls": False, "root_certificates": b"r"}, "root_certificates given with tls=False"),
        ({"certificate_chain": b"c"}, "certificate_chain and private_key go together"),
        ({"private_key": b"k"}, "certificate_chain and private_key go together"),
        ({"token": ""}, "the token is empty"),
        ({"token": f"{TOKEN}\n"}, "line ends"),
        ({"token": f"{TOKEN} {TOKEN}"}, "holds spaces"),
        ({"token": f"{TOKEN}é"}, "non-ASCII characters"),
    ],
)
async def test_what_contradicts_itself_is_refused_before_anything_is_sent(
    arguments: dict[str, Any], message: str
) -> None:
    for client in (stillcue.Client, stillcue.AsyncClient):
        with pytest.raises(ValueError, match=message) as caught:
            client(REMOTE, **arguments)
        assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("target", ["localhost:1", "127.0.0.1:1", "[::1]:1", "unix:/tmp/socket"])
def test_a_token_goes_in_plain_text_to_this_machine_only(target: str) -> None:
    assert call_metadata(TOKEN, target, is_encrypted=False) == (("authorization", f"Bearer {TOKEN}"),)
    assert call_metadata(TOKEN, REMOTE, is_encrypted=True) == (("authorization", f"Bearer {TOKEN}"),)
    assert call_metadata(None, REMOTE, is_encrypted=False) == ()


@pytest.mark.parametrize(
    "target", ["ipv4:127.0.0.1:1,10.0.0.1:1", "dns://10.0.0.1/localhost:1", "localhost.example:1", "my-own-name:1"]
)
def test_what_may_be_another_machine_gets_no_token_in_plain_text(target: str) -> None:
    with pytest.raises(ValueError, match="the token would cross the network"):
        call_metadata(TOKEN, target, is_encrypted=False)


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "render.token"
    path.write_text(f"{TOKEN}\n")
    return path


def test_where_the_token_comes_from(token_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse_arguments(["capabilities"]).token is None
    monkeypatch.setenv("STILLCUE_TOKEN", "of-the-environment")
    assert parse_arguments(["capabilities"]).token == "of-the-environment"
    assert parse_arguments(["capabilities", "--token-file", str(token_file)]).token == TOKEN
    monkeypatch.setenv("STILLCUE_TOKEN_FILE", str(token_file))
    assert parse_arguments(["capabilities"]).token == TOKEN


@pytest.mark.parametrize("blank", ["", "  ", "\n"])
def test_an_empty_variable_counts_as_unset(blank: str, monkeypatch: pytest.MonkeyPatch) -> None:
    unset = vars(parse_arguments(["capabilities"]))
    for name in [name for name in vars(connection) if name.endswith("_VARIABLE")]:
        monkeypatch.setenv(getattr(connection, name), blank)
    assert vars(parse_arguments(["capabilities"])) == unset


@pytest.mark.parametrize(
    ("flags", "environment", "message"),
    [
        (["--token-file", "FOLDER/none"], {}, "none' cannot be read: no such file or directory"),
        (["--token-file", "FOLDER/two"], {}, "two' does not hold one token and nothing else"),
        ([], {"STILLCUE_TOKEN_FILE": "FOLDER/two"}, "two' does not hold one token and nothing else"),
        ([], {"STILLCUE_TOKEN": f"{TOKEN} {TOKEN}"}, "STILLCUE_TOKEN does not hold one token and nothing else"),
        (["--tls-cert", "FOLDER/two"], {}, "--tls-cert and --tls-key go together"),
        (["--tls-ca", "FOLDER/none"], {}, "none' cannot be read"),
        (["--plaintext", "--tls-ca", "FOLDER/two"], {}, "--tls-ca and --plaintext exclude each other"),
        (
            ["--plaintext", "--server", REMOTE],
            {"STILLCUE_TOKEN": TOKEN},
            f"--plaintext would show the token to the network on its way to {REMOTE}",
        ),
        (["--token", TOKEN], {}, "--token"),
    ],
)
def test_a_wrong_connection_is_told_before_anything_is_sent(
    flags: list[str],
    environment: dict[str, str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "two").write_text(f"{TOKEN} {TOKEN}")
    for name, value in environment.items():
        monkeypatch.setenv(name, value.replace("FOLDER", str(tmp_path)))
    with pytest.raises(SystemExit) as left:
        parse_arguments(["capabilities", *(flag.replace("FOLDER", str(tmp_path)) for flag in flags)])
    assert left.value.code == 2
    told = capsys.readouterr().err
    assert message in told
    if "--token" not in flags:  # what was typed is shown, and was never a secret afterwards
        assert TOKEN not in told


@pytest.mark.parametrize("source", ["flags", "environment"])
async def test_the_command_line_shows_its_certificate_and_its_token(
    source: str,
    tmp_path: Path,
    token_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    signer = Signer()
    (tmp_path / "ca.pem").write_bytes(signer.pem)
    (tmp_path / "callers").write_text(f"render {hash_of(TOKEN)}\n")
    server_files = signer.sign("127.0.0.1").write(tmp_path, "server")
    client_files = signer.sign("render.example").write(tmp_path, "client")
    given = {
        "--tls-ca": tmp_path / "ca.pem",
        "--tls-cert": client_files["tls_certificate_chain"],
        "--tls-key": client_files["tls_private_key"],
        "--token-file": token_file,
    }
    flags: list[str] = []
    for flag, path in given.items():
        if source == "flags":
            flags += [flag, str(path)]
        else:
            monkeypatch.setenv("STILLCUE_" + flag.removeprefix("--").replace("-", "_").upper(), str(path))
    callers = tmp_path / "callers"
    async with served(FakeEngine(), **server_files, tls_client_ca=tmp_path / "ca.pem", callers=callers) as server:
        options = parse_arguments(["capabilities", "--server", str(server.address), *flags])
        await asyncio.to_thread(commands.run, options)
        assert "limits" in capsys.readouterr().out
        options.token = None
        with pytest.raises(stillcue.AccessDenied):
            await asyncio.to_thread(commands.run, options)
