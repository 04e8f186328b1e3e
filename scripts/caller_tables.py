"""The tables of docs/inputs.md about callers: addresses and frame rates, with the answers of the code."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from server.settings import SettingInvalid, Settings
from stillcue.addresses import check_target, shown
from stillcue.frame_rates import exact_frame_rate
from tests.address_cases import CASES

_FRAME_RATES = ("24", "25", "23.9", "23.97", "23.976", "23.98", "29.97", "47.952", "59.94", "119.88", "16.67")


def address_rows() -> Iterator[tuple[str, str, str]]:
    """Yields an address, what a client answers, and what ``--listen`` answers."""
    for case in CASES:
        address = case.address
        flags = ["--engine", "fake", "--allow-insecure", f"--listen={address}"]
        written = shown(address) if len(address) < 60 else shown(f"{address[:20]}…")
        called = _answer(check_target, address)
        listened = _answer(Settings.load, flags, {}).removeprefix(f"--listen {shown(address)} ")
        yield f"`{written[1:-1]}`", called, "the same" if listened == called else listened


def frame_rate_rows() -> Iterator[tuple[str, str]]:
    """Yields a number and the exact rate that the mp4 file gets."""
    for number in _FRAME_RATES:
        yield f"`{number}`", f"`{exact_frame_rate(float(number))}`"


def _answer(check: Callable[..., object], *arguments: object) -> str:
    try:
        check(*arguments)
    except (ValueError, SettingInvalid) as error:
        return str(error)
    return "accepted"
