"""The generator of HAProxy's configuration: what it writes, what HAProxy says about it, what it refuses."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest
from google.rpc import error_details_pb2, status_pb2

from deploy.haproxy.__main__ import main
from deploy.haproxy.health_check import check_bytes
from server.jobs.replica import replica_key
from tests.certificates import Signer

EXAMPLE = Path(__file__).parent.parent / "deploy" / "haproxy" / "example"
# As docs/fleet.md gives it.
EXAMPLE_FLAGS = (
    "--server=a=10.0.0.11:50051",
    "--server=b=10.0.0.12:50051",
    "--server=c=10.0.0.13:50051",
    "--listen=0.0.0.0:50050",
)
ONE = "--server=a=10.0.0.11:50051"


def written(folder: Path, *flags: str) -> dict[str, str]:
    assert main([*flags, f"--out={folder}"]) == 0
    return {file.name: file.read_bytes().decode() for file in sorted(folder.iterdir())}


def check(folder: Path) -> subprocess.CompletedProcess[str]:
    program = shutil.which("haproxy")
    if program is None:
        pytest.skip("haproxy is not installed")
    command = [program, "-c", "-f", str(folder / "haproxy.cfg")]
    return subprocess.run(command, check=False, capture_output=True, text=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("it's pem")
    signer = Signer()
    identity = signer.sign("localhost", "127.0.0.1")
    (folder / "ca.pem").write_bytes(signer.pem)
    (folder / "own.pem").write_bytes(identity.chain + identity.key)
    return {"ca": folder / "ca.pem", "own": folder / "own.pem"}


def test_the_example_is_what_the_generator_writes(tmp_path: Path) -> None:
    made = written(tmp_path, *EXAMPLE_FLAGS)
    assert made == {file.name: file.read_bytes().decode() for file in sorted(EXAMPLE.iterdir())}
    told = check(EXAMPLE)
    assert (told.returncode, told.stderr) == (0, ""), told.stderr


def test_haproxy_takes_every_kind_of_tls(tmp_path: Path, certificates: dict[str, Path]) -> None:
    ca, own = certificates["ca"], certificates["own"]
    to_servers = (f"--servers-tls-ca={ca}", f"--servers-tls-certificate={own}", "--servers-tls-name=stillcue")
    front = (f"--tls-certificate={own}", f"--tls-client-ca={ca}")
    for flags in (front[:1], front, to_servers, (*front, *to_servers)):
        made = written(tmp_path, ONE, *flags)["haproxy.cfg"]
        assert ("alpn h2 ssl-min-ver" in made) == (flags[0] in front)
        assert ("verify required ca-file" in made.partition("\nbackend generate")[2]) == (to_servers[0] in flags)
        told = check(tmp_path)
        assert (told.returncode, told.stderr) == (0, ""), told.stderr


def test_the_map_holds_the_keys_of_resume_tokens(tmp_path: Path) -> None:
    salt = tmp_path / "salt"
    salt.write_text("correct horse\n")
    made = written(tmp_path / "out", *EXAMPLE_FLAGS, f"--salt-file={salt}")["replicas.map"]
    lines = [f"{replica_key(f'correct horse/{name}')} replica-{name}" for name in ("a", "b", "c")]
    assert made.splitlines()[1:] == lines
    plain = written(tmp_path / "plain", *EXAMPLE_FLAGS)["replicas.map"]
    assert plain.splitlines()[1] == f"{replica_key('a')} replica-a"


def test_a_refusal_carries_what_a_client_needs(tmp_path: Path) -> None:
    made = written(tmp_path, ONE, "--retry-seconds=7")
    line, *fields = made["refused.http"].split("\r\n")
    assert line == "HTTP/1.1 200 OK"
    headers = dict(field.split(": ", 1) for field in fields if field)
    assert headers["grpc-status"] == "14"
    status = status_pb2.Status.FromString(base64.b64decode(headers["grpc-status-details-bin"]))
    assert (status.code, status.message) == (14, unquote(headers["grpc-message"]))
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(retry)
    assert (info.reason, info.domain, retry.retry_delay.seconds) == ("NO_REPLICA_FREE", "stillcue", 7)
    assert "grpc-status-details-bin" not in made["broken.http"]


def test_the_health_check_is_a_call_of_grpc() -> None:
    sent = check_bytes("stillcue", is_encrypted=False)
    assert sent.startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    assert b"/grpc.health.v1.Health/Check" in sent
    assert sent.endswith(bytes.fromhex("000005 00 01 00000001 0000000000"))
    assert check_bytes("stillcue", is_encrypted=True) != sent


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "no server is given; add --server NAME=HOST:PORT for each"),
        (["--server=a"], "--server 'a' is not NAME=HOST:PORT; write for example a=10.0.0.11:50051"),
        (["--server=a b=h:1"], "--server 'a b=h:1': the name has other characters than letters, digits"),
        (["--server=a=h"], "--server a: 'h' is not HOST:PORT; add the port"),
        (["--server=a=0.0.0.0:1"], "--server a: 0.0.0.0:1 is an address to listen on; give the one to call"),
        (["--server=a=h:1", "--server=a=h:2"], "--server gives the name a 2 times; each server needs its own"),
        (["--server=a=h:1", "--server=b=h:1"], "--server gives the address h:1 2 times; each server needs its own"),
        ([ONE, "--listen=50050"], "--listen: '50050' is not HOST:PORT; add the host: for example localhost:50050"),
        ([ONE, "--listen=h:1", "--metrics-listen=h:1"], "--listen and --metrics-listen are both h:1"),
        ([ONE, "--queue-jobs=0"], "--queue-jobs is 0; give 1 or more"),
        ([ONE, "--queue-seconds=-3"], "--queue-seconds is -3; give 1 or more"),
        ([ONE, "--tls-certificate=/no/such.pem"], "--tls-certificate: /no/such.pem is no file"),
        ([ONE, "--files-elsewhere", "--tls-certificate=a.pem"], "--tls-certificate: a.pem is not a whole path"),
        ([ONE, "--tls-client-ca={ca}"], "--tls-client-ca needs --tls-certificate"),
        ([ONE, "--servers-tls-name=x"], "--servers-tls-certificate and --servers-tls-name need --servers-tls-ca"),
        ([ONE, "--servers-tls-ca={ca}"], "--server a=10.0.0.11:50051 has no name to find in a certificate"),
        ([ONE, "--salt-file=/no/salt"], "--salt-file: /no/salt cannot be read"),
        ([ONE, "--user=a b"], "--user 'a b' is no name of a user"),
        ([ONE, "--out=/dev/null/x"], "cannot write to --out /dev/null/x: Not a directory"),
    ],
)
def test_a_wrong_flag_is_told(
    flags: list[str], message: str, certificates: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [flag.format(**certificates) for flag in flags]
    folder = tmp_path / "out"
    assert main([f"--out={folder}", *given]) == 2
    assert capsys.readouterr().err.startswith(f"deploy.haproxy: {message}")
    assert not folder.exists()
