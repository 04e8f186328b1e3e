"""Servers that are away, protected, of another version or restarted; and that no secret leaves ``servers.toml``."""

from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from engine.testing.fake_engine import FakeEngine
from server.security.callers import hash_of
from server.settings import Address
from tests.certificates import Signer
from tests.comfyui.graphs import SERVER, capture, clip_graph, node, prepare_graph
from tests.comfyui.scripted import PackServer
from tests.comfyui.stillcue_server import serving
from tests.scripted_server import serving as serving_script

if TYPE_CHECKING:
    from pathlib import Path

    from tests.comfyui.comfy import Comfy

TOKEN = "stillcue_a-token-of-this-test"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_a_server_that_is_away_is_a_node_error_with_the_remedy(comfy: Comfy, picture: str) -> None:
    address = f"127.0.0.1:{free_port()}"
    finished = comfy.run(prepare_graph(address, picture))
    lines = finished.error.splitlines()
    assert lines[0].startswith("no answer from the server: ")
    assert lines[1] == (
        f"  is it running at {address}? Start it, or correct the address in the Stillcue Server node. It must speak "
        "TLS, unless it is on this machine or tls is off; for its certificate see tls_ca in ~/servers.toml"
    )


def test_the_choices_of_a_server_that_is_away_are_an_error_with_the_remedy(comfy: Comfy) -> None:
    address = f"127.0.0.1:{free_port()}"
    answer = comfy.get("/stillcue/capabilities", address=address, tls="auto")
    assert list(answer) == ["error"]
    assert f"is it running at {address}?" in answer["error"]


def test_the_choices_are_those_of_the_server(comfy: Comfy) -> None:
    with serving(FakeEngine()) as server:
        answer = comfy.get("/stillcue/capabilities", address=server.address, tls="auto")
    assert answer["sizes"] == ["32x32", "48x32"]
    assert answer["frame_counts"] == [9, 17]
    assert answer["model"] == "fake"
    assert answer["match_supported"] is True
    assert answer["video"][0] == "from the frames"
    assert answer["defaults"] == {
        "frames": 9,
        "frame_rate": 8.0,
        "steps": 4,
        "guidance": 3.5,
        "guidance_low_noise": 3.5,
        "shift": 5.0,
        "negative_prompt": "blurred",
        "step_reuse": "off",
    }
    assert answer["step_reuse"] == ["server's default", "off", "balanced", "fast"]
    assert answer["device"] == "cpu"
    assert answer["limits"]["max_steps"] == 100


@pytest.mark.parametrize(
    ("address", "tls", "message"),
    [
        ("", "auto", "the server's address '' is empty"),
        ("http://studio.example", "auto", "the server's address 'http://studio.example'"),
        ("two words", "auto", "the server's address 'two words'"),
    ],
    ids=["empty", "url", "spaces"],
)
def test_a_wrong_address_is_told(comfy: Comfy, address: str, tls: str, message: str) -> None:
    graph = {SERVER: node("StillcueServer", address=address, tls=tls), **capture("server", SERVER, 0)}
    error = comfy.run(graph).error
    assert error.startswith(message)
    assert error.endswith("correct it in the Stillcue Server node, for example localhost:50051")


def test_a_token_comes_from_its_file_and_is_in_nothing_that_comfyui_keeps(
    comfy: Comfy, picture: str, servers_file: Path, tmp_path: Path
) -> None:
    callers = tmp_path / "callers"
    callers.write_text(f"studio {hash_of(TOKEN)}\n")
    (servers_file.parent / "studio.token").write_text(f"{TOKEN}\n")
    with serving(FakeEngine(), callers=callers) as server:
        refused = comfy.run(clip_graph(server.address, picture))
        assert refused.error.splitlines()[0].startswith("access denied: ")
        assert f"for “{server.address}” into ~/servers.toml" in refused.error

        servers_file.write_text(f'["{server.address}"]\ntoken_file = "studio.token"\n')
        with comfy.listen() as listener:
            prompt_id = comfy.submit(clip_graph(server.address, picture), client_id=listener.client_id)
            finished = comfy.wait(prompt_id, listener)
            heard = repr(listener.messages)
    assert finished.error == ""
    kept = json.dumps([comfy.get("/history"), comfy.queue(), comfy.object_info()]) + heard
    assert TOKEN not in kept
    files = [path for path in comfy.folder.rglob("*") if path.is_file() and path.name != "studio.token"]
    assert not [path for path in files if TOKEN.encode() in path.read_bytes()]


def test_a_token_goes_to_its_own_address_only(comfy: Comfy, picture: str, servers_file: Path) -> None:
    (servers_file.parent / "studio.token").write_text(TOKEN)
    with serving_script(PackServer()) as own, serving_script(PackServer()) as other:
        servers_file.write_text(f'["{own.target}"]\ntoken_file = "studio.token"\n')
        for server in (own, other):
            comfy.run(clip_graph(server.target, picture))
            comfy.get("/stillcue/capabilities", address=server.target, tls="auto")
    assert {item.get("authorization") for item in own.metadata} == {f"Bearer {TOKEN}"}
    assert {item.get("authorization") for item in other.metadata} == {None}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[", "servers.toml is no valid TOML ("),
        ('["{address}"]\ntoken = "x"', "has the unknown key 'token'; known are token_file, tls_ca, tls_cert, tls_key"),
        ('["{address}"]\ntoken_file = "none"', "which cannot be read (no such file or directory); correct the path"),
        ('["{address}"]\ntoken_file = "two"', "two, does not hold one token and nothing else"),
        ('["{address}"]\ntls_cert = "two"', "go together; give both, or neither"),
        ('["{address}"]\ntls_ca = 3', "is no text; name a file"),
        ('"{address}" = 3', "is no table; write ["),
    ],
    ids=["toml", "key", "missing", "two tokens", "certificate alone", "number", "no table"],
)
def test_a_wrong_servers_file_is_told(comfy: Comfy, servers_file: Path, content: str, message: str) -> None:
    (servers_file.parent / "two").write_text("one two")
    address = f"127.0.0.1:{free_port()}"
    servers_file.write_text(content.replace("{address}", address))
    graph = {SERVER: node("StillcueServer", address=address, tls="auto"), **capture("server", SERVER, 0)}
    error = comfy.run(graph).error
    assert message in error
    assert "~/servers.toml" in error


def test_tls_off_contradicts_certificates_and_keeps_a_token_on_this_machine(comfy: Comfy, servers_file: Path) -> None:
    (servers_file.parent / "studio.token").write_text(TOKEN)
    servers_file.write_text(
        '["studio.example:443"]\ntoken_file = "studio.token"\n["cut.example:443"]\ntls_ca = "studio.token"\n'
    )
    errors = [
        comfy.run({SERVER: node("StillcueServer", address=f"{host}:443", tls="off"), **capture("it", SERVER, 0)}).error
        for host in ("studio.example", "cut.example")
    ]
    assert errors == [
        "tls is off: the token for “studio.example:443” would cross the network in plain text; choose auto or on",
        "tls is off, but ~/servers.toml names tls_ca for “cut.example:443”; choose auto or on, or take them out of "
        "the file",
    ]


def test_tls_with_certificates_of_both_sides(comfy: Comfy, picture: str, servers_file: Path, tmp_path: Path) -> None:
    signer = Signer()
    files = signer.sign("localhost", "127.0.0.1").write(tmp_path, "server")
    (tmp_path / "ca.pem").write_bytes(signer.pem)
    own = signer.sign("studio.example").write(servers_file.parent, "me")
    (servers_file.parent / "ca.pem").write_bytes(signer.pem)
    with serving(FakeEngine(), **files, tls_client_ca=tmp_path / "ca.pem") as server:
        plain = comfy.run(clip_graph(server.address, picture)).error
        servers_file.write_text(
            f'["{server.address}"]\ntls_ca = "ca.pem"\ntls_cert = "me.pem"\ntls_key = "{own["tls_private_key"]}"\n'
        )
        encrypted = comfy.run(clip_graph(server.address, picture, tls="on"))
    assert plain.startswith("no answer from the server: ")
    assert encrypted.error == ""


def test_a_server_that_starts_again_between_two_runs_is_found(comfy: Comfy, picture: str) -> None:
    address = Address("127.0.0.1", free_port())
    for seed in (1, 2):
        with serving(FakeEngine(), listen=address):
            assert comfy.run(clip_graph(str(address), picture, seed=seed)).error == ""


@pytest.mark.parametrize(
    ("version", "remedy"),
    [
        ("0.0.9", "update the server"),
        ("0.2.0", "update this pack and the package stillcue in ComfyUI's Python"),
    ],
)
def test_a_server_of_another_version_is_told(comfy: Comfy, picture: str, version: str, remedy: str) -> None:
    with serving_script(PackServer(capability_changes={"server_version": version})) as server:
        error = comfy.run(prepare_graph(server.target, picture)).error
        answer = comfy.get("/stillcue/capabilities", address=server.target, tls="auto")
    expected = f"the server at {server.target} has version {version}, this pack works with >=0.1,<0.2; {remedy}"
    assert error == expected
    assert answer == {"error": expected}


def test_something_that_is_no_stillcue_server_is_told(comfy: Comfy, picture: str) -> None:
    other: Any = grpc.server(ThreadPoolExecutor(1))
    port = other.add_insecure_port("127.0.0.1:0")
    other.start()
    try:
        error = comfy.run(prepare_graph(f"127.0.0.1:{port}", picture)).error
    finally:
        other.stop(None).wait()
    assert error.splitlines()[1] == f"  is 127.0.0.1:{port} a Stillcue server of this version?"
