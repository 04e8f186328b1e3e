"""Every address of the table, in the client, on the command line, in the environment, and as the server's own."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

import stillcue
from scripts.docs_tables import DOCUMENTATION, updated
from server.settings import SettingInvalid, Settings
from stillcue.channel import checked_target
from stillcue.cli.arguments import parse_arguments
from tests.address_cases import CASES, AddressCase

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = [ascii(case.address)[:40] for case in CASES]


def _invalid(make: Callable[[], object]) -> str | None:
    try:
        make()
    except ValueError as error:
        return str(error)
    return None


@pytest.mark.parametrize("case", CASES, ids=NAMES)
async def test_clients_say_what_to_leave_out_or_to_add(case: AddressCase) -> None:
    told = _invalid(lambda: checked_target(case.address))
    if case.called is None:
        assert told is None
        return
    assert told is not None
    assert told.endswith(f"' {case.called.format(1)}")
    assert told.startswith("the server's address '")
    assert told.isprintable()
    assert "secret" not in told
    for kind in (stillcue.Client, stillcue.AsyncClient):
        assert _invalid(lambda kind=kind: kind(case.address)) == told  # type: ignore[misc]


@pytest.mark.parametrize("source", ["flag", "variable"])
@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_the_command_line_says_it_too(
    source: str, case: AddressCase, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["capabilities"]
    if source == "flag":
        arguments.append(f"--server={case.address}")
    else:
        monkeypatch.setenv("STILLCUE_SERVER", case.address)
    if case.called is None:
        assert parse_arguments(arguments).server == case.address
        return
    with pytest.raises(SystemExit) as left:
        parse_arguments(arguments)
    assert left.value.code == 2
    told = capsys.readouterr().err
    assert told.endswith(f" {case.called.format(1)}\n")
    assert "secret" not in told


@pytest.mark.parametrize("source", ["flag", "variable"])
@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_the_server_says_it_of_its_own_address(source: str, case: AddressCase) -> None:
    flags = ["--engine", "fake", "--allow-insecure"]
    environment: dict[str, str] = {}
    if source == "flag":
        flags.append(f"--listen={case.address}")
    else:
        environment["STILLCUE_LISTEN"] = case.address
    if case.listened is None:
        assert str(Settings.load(flags, environment).listen) in {case.address, case.address.replace("unix://", "unix:")}
        return
    with pytest.raises(SettingInvalid) as caught:
        Settings.load(flags, environment)
    assert str(caught.value).endswith(f" {case.listened.format(0)}")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("setting", ["--metrics-listen", "--health-listen"])
def test_the_other_ports_follow_the_same_rules(setting: str) -> None:
    with pytest.raises(SettingInvalid, match=rf"^{setting} 'http://h:1' is not HOST:PORT; leave out http://: h:1$"):
        Settings.load(["--engine", "fake", setting, "http://h:1"], {})


def test_the_tables_of_the_page_are_current() -> None:
    page = (DOCUMENTATION / "inputs.md").read_text(encoding="utf-8")
    assert page == updated("inputs.md", page), "run python -m scripts.docs_tables"


def test_metrics_take_no_unix_socket() -> None:
    with pytest.raises(SettingInvalid, match="is a Unix socket, which HTTP does not reach; write HOST:PORT"):
        Settings.load(["--engine", "fake", "--metrics-listen", "unix:/run/metrics.sock"], {})


def test_what_a_message_tells_to_write_is_accepted() -> None:
    """Of 20,000 addresses put together at random, each is accepted, or its remedy is; nothing else is raised."""
    draw = random.Random(0)
    heads = ("", "http://", "https://", "grpc://u:p@", "dns:///", "unix:", "unix://", "ipv4:", " ", "[", "HTTP:/")
    names = ("", "localhost", "gpu-1.example", "b\u00fccher", "a b", "\u2011", "*", "]")
    hosts = (*names, "10.0.0.1", "::1", "[::1]", "fe80::1%eth0")
    ports = ("", ":", ":50051", ":0", ":70000", ":x", ":5:6", "\uff1a\uff15", ":\u0665", "::")
    tails = ("", "/", "/v1", "?x", "#", "\n", ",b:1", "@", "%", "\ud800", "\0")
    kinds = set()
    for _ in range(20_000):
        address = "".join(draw.choice(part) for part in (heads, hosts, ports, tails))
        told = _invalid(lambda address=address: checked_target(address))  # type: ignore[misc]
        kinds.add(told is None)
        if told is not None and "is not HOST:PORT; " in told:
            remedy = told.rpartition(" ")[2]
            again = _invalid(lambda remedy=remedy: checked_target(remedy))  # type: ignore[misc]
            assert again is None or "is an address to listen on" in again, (address, told)
    assert kinds == {True, False}
