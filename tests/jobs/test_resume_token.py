"""The resume token: what it holds, and what is no token."""

from __future__ import annotations

import base64

import pytest

from server.jobs.resume_token import ResumeToken, new_run_id

RUN_ID = bytes(range(240, 256))


def test_a_token_is_the_run_and_the_number_in_base64_without_padding() -> None:
    text = ResumeToken(RUN_ID, 0x010203).encode()
    assert text == "8PHy8_T19vf4-fr7_P3-_wAAAAECAw"
    assert base64.urlsafe_b64decode(text + "==") == RUN_ID + b"\0\0\0\1\2\3"


@pytest.mark.parametrize("number", [0, 1, 255, 256, 2**48 - 1])
def test_a_token_is_read_as_it_was_written(number: int) -> None:
    token = ResumeToken.decode(ResumeToken(RUN_ID, number).encode())
    assert (token.run_id, token.next_number) == (RUN_ID, number)
    assert token == ResumeToken(RUN_ID, number)


@pytest.mark.parametrize("padding", ["", "=", "=="])
def test_padding_is_allowed(padding: str) -> None:
    assert ResumeToken.decode(ResumeToken(RUN_ID, 5).encode() + padding) == ResumeToken(RUN_ID, 5)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "AAAA",
        "8PHy8_T19vf4-fr7_P3-_wAAAAEC",  # one byte less
        "8PHy8_T19vf4-fr7_P3-_wAAAAECAwQ",  # one byte more
        "8PHy8_T19vf4-fr7_P3-_wAAAAECAw    ",
        "8PHy8_T19 vf4-fr7_P3-_wAAAAECAw",
    ],
)
def test_anything_else_is_no_token(text: str) -> None:
    with pytest.raises(ValueError, match=r"^not a resume token$"):
        ResumeToken.decode(text)


def test_a_text_that_is_not_ascii_is_no_token() -> None:
    with pytest.raises(ValueError):  # noqa: PT011  the message is that of base64
        ResumeToken.decode("8PHy8_T19vf4-fr7_P3-_wAAAAECA\u00e4")


def test_a_token_is_never_shown() -> None:
    assert repr(ResumeToken(RUN_ID, 5)) == "ResumeToken(...)"


def test_run_ids_are_sixteen_random_bytes() -> None:
    first, second = new_run_id(), new_run_id()
    assert (len(first), len(second)) == (16, 16)
    assert first != second
