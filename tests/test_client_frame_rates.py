"""Frame rates of editors: what numbers and texts stand for, and what a request holds."""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from stillcue.cli.arguments import parse_arguments
from stillcue.frame_rates import exact_frame_rate, read_frame_rate

if TYPE_CHECKING:
    from pathlib import Path

    import stillcue
    from tests.scripted_server import ScriptedServer

SLOWER = {nominal: Fraction(nominal * 1000, 1001) for nominal in (24, 30, 48, 60, 120)}


@pytest.mark.parametrize(
    ("number", "exact"),
    [
        (23.976, SLOWER[24]),
        (23.98, SLOWER[24]),
        (23.976024, SLOWER[24]),
        (24_000 / 1001, SLOWER[24]),
        (29.97, SLOWER[30]),
        (29.97003, SLOWER[30]),
        (47.952, SLOWER[48]),
        (47.95, SLOWER[48]),
        (59.94, SLOWER[60]),
        (119.88, SLOWER[120]),
        (Fraction(2997, 125), SLOWER[24]),
        (24, Fraction(24)),
        (25.0, Fraction(25)),
        (23.9, Fraction(239, 10)),
        (23.97, Fraction(2397, 100)),
        (23.99, Fraction(2399, 100)),
        (29.9, Fraction(299, 10)),
        (29.98, Fraction(1499, 50)),
        (16.67, Fraction(1667, 100)),
        (Fraction(50, 3), Fraction(50, 3)),
    ],
)
def test_a_number_stands_for_one_exact_rate(number: float | Fraction, exact: Fraction) -> None:
    assert exact_frame_rate(number) == exact


@pytest.mark.parametrize(("number", "nominal"), [(23.976, 24), (29.97, 30), (47.952, 48), (59.94, 60), (119.88, 120)])
def test_a_32_bit_float_stands_for_the_same_rate(number: float, nominal: int) -> None:
    (single,) = struct.unpack("f", struct.pack("f", number))
    assert exact_frame_rate(single) == SLOWER[nominal]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("24000/1001", 24_000 / 1001),
        (" 30000 / 1001 ", 30_000 / 1001),
        ("23.976", 24_000 / 1001),
        ("29.97", 30_000 / 1001),
        ("16", 16.0),
        ("25/1", 25.0),
        ("23.9", 23.9),
    ],
)
def test_texts_of_frame_rates(text: str, number: float) -> None:
    assert read_frame_rate(text) == number


@pytest.mark.parametrize("text", ["", "fast", "23,976", "24p", "24000/0", "24000/1001/2", "-24/1", "1e3/2"])
def test_what_is_no_frame_rate_is_told(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "boat.png").touch()
    with pytest.raises(SystemExit):
        parse_arguments(["score", "boat.png", "A boat.", f"--fps={text}"])
    assert f"{text!r} is not a frame rate, for example 24, 23.976 or 24000/1001" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "sent"),
    [(23.976, 24_000 / 1001), (Fraction(30_000, 1001), 30_000 / 1001), (24, 24.0), (23.9, 23.9), (0.1, 0.1)],
)
def test_a_request_holds_the_exact_rate(
    given: Any, sent: float, client: stillcue.Client, server: ScriptedServer
) -> None:
    list(client.generate(b"a picture", "A boat.", frame_rate=given))
    client.score_match(b"a picture", "A boat.", frame_rate=given)
    requests: list[Any] = list(server.requests)
    assert [requests[0].video.frame_rate, requests[1].frame_rate] == [sent, sent]


def test_a_rate_that_is_no_number_is_refused_as_before(client: stillcue.Client) -> None:
    with pytest.raises(TypeError):
        client.generate(b"a picture", "A boat.", frame_rate="23.976")  # type: ignore[arg-type]
