"""The resume token: what it holds, and what is no token."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest

from engine.testing.fake_engine import FAKE_CAPABILITIES
from server.jobs.replica import Replica, replica_key
from server.jobs.resume_token import Progress, ResumeToken, Run, new_run_id

REPLICA = Replica("0123456789abcdef", b"FINGERPR", b"INSTANCE")
RUN = Run(bytes(range(240, 256)), 7, REPLICA)
TOKEN = ResumeToken(RUN, Progress(3, 2, 2**64 - 2, 1.5))
TEXT = "0123456789abcdef.8PHy8_T19vf4-fr7_P3-_0ZJTkdFUlBSSU5TVEFOQ0UAAAAAAAAABwAAAAMAAAAC__________4AAAXc"


def test_a_token_is_the_key_of_the_replica_and_the_rest_in_base64_without_padding() -> None:
    assert TOKEN.encode() == TEXT
    assert base64.urlsafe_b64decode(TEXT.partition(".")[2] + "==") == (
        RUN.run_id
        + b"FINGERPRINSTANCE"
        + b"\0\0\0\0\0\0\0\7"
        + b"\0\0\0\3"
        + b"\0\0\0\2"
        + b"\xff\xff\xff\xff\xff\xff\xff\xfe"
        + b"\0\0\5\xdc"
    )
    without_name = ResumeToken(replace(RUN, replica=replace(REPLICA, key="")), TOKEN.progress)
    assert without_name.encode() == TEXT.partition(".")[2]
    assert ResumeToken.decode(without_name.encode()) == without_name


@pytest.mark.parametrize("number", [0, 1, 255, 256, 2**32 - 1])
@pytest.mark.parametrize("seed", [0, 2**63 - 1])
def test_a_token_is_read_as_it_was_written(number: int, seed: int) -> None:
    token = ResumeToken(replace(RUN, seed=seed), Progress(number, number, number, 0.25))
    assert ResumeToken.decode(token.encode()) == token


def test_a_stream_of_months_still_has_a_token() -> None:
    token = ResumeToken(RUN, Progress(2**40, 2**40, 0, 1e9))
    assert ResumeToken.decode(token.encode()).progress == Progress(2**32 - 1, 2**32 - 1, 0, (2**32 - 1) / 1000)


@pytest.mark.parametrize("padding", ["", "=", "=="])
def test_padding_is_allowed(padding: str) -> None:
    assert ResumeToken.decode(TEXT + padding) == TOKEN


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "x",
        "AAAA",
        TEXT[:-2],  # a byte less
        TEXT + "AA",  # a byte more
        TEXT + "    ",
        TEXT[:30] + " " + TEXT[31:],
        TEXT[1:],  # a shorter key
        "0" + TEXT,
        TEXT.replace(".", ".."),
        "8PHy8_T19vf4-fr7_P3-_wAAAAECAw",  # of an older server: run and number alone
    ],
)
def test_anything_else_is_no_token(text: str) -> None:
    with pytest.raises(ValueError, match=r"^not a resume token$"):
        ResumeToken.decode(text)


def test_a_text_that_is_not_ascii_is_no_token() -> None:
    with pytest.raises(ValueError):  # noqa: PT011  the message is that of base64
        ResumeToken.decode(TEXT[:-1] + "\u00e4")


def test_a_token_is_never_shown() -> None:
    assert repr(TOKEN) == "ResumeToken(...)"
    assert repr(RUN) == "Run(...)"


def test_run_ids_are_sixteen_random_bytes() -> None:
    first, second = new_run_id(), new_run_id()
    assert (len(first), len(second)) == (16, 16)
    assert first != second


def test_the_key_of_a_replica_comes_from_its_name() -> None:
    # printf 'stillcue replica gpu-1' | sha256sum
    assert replica_key("gpu-1") == "a2c18b18b6777dc9"
    assert replica_key("gpu-2") != replica_key("gpu-1")
    assert replica_key("") == ""


def test_equal_servers_share_a_fingerprint_and_no_instance() -> None:
    first, second = (Replica.of(name, FAKE_CAPABILITIES, "1.0") for name in ("gpu-1", "gpu-2"))
    assert first.fingerprint == second.fingerprint
    assert first.instance != second.instance
    assert (first.key, second.key) == (replica_key("gpu-1"), replica_key("gpu-2"))


@pytest.mark.parametrize(
    "changes",
    [{"bundle_digest": "2" * 64}, {"checkpoint_digest": "2" * 64}, {"runtime": "other"}, {"device": "NVIDIA H100"}],
)
def test_servers_that_make_other_clips_have_other_fingerprints(changes: dict[str, Any]) -> None:
    first = Replica.of("", FAKE_CAPABILITIES, "1.0")
    assert Replica.of("", replace(FAKE_CAPABILITIES, **changes), "1.0").fingerprint != first.fingerprint
    assert Replica.of("", FAKE_CAPABILITIES, "1.1").fingerprint != first.fingerprint
    defaults = replace(FAKE_CAPABILITIES.defaults, step_count=5)
    assert Replica.of("", replace(FAKE_CAPABILITIES, defaults=defaults), "1.0").fingerprint != first.fingerprint
