"""Parsers of setting values. Each raises ``ValueError`` with a text that completes "VALUE ..."."""

from __future__ import annotations

import ipaddress
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class SettingInvalid(Exception):
    """A setting is missing or wrong; the message names it, its value and the remedy in one line."""


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a TCP port; port 0 lets the system choose one."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the address."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def address(text: str) -> Address:
    """Reads HOST:PORT."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65_535:
        raise ValueError("is not HOST:PORT with a port from 0 to 65535, for example 127.0.0.1:50051")
    return Address(host.removeprefix("[").removesuffix("]"), int(port))


def path(text: str) -> Path | None:
    """Reads a path; empty: None."""
    return Path(text) if text else None


def address_or_none(text: str) -> Address | None:
    """Reads HOST:PORT; empty: None."""
    return address(text) if text else None


def yes_or_no(text: str) -> bool:
    """Reads true or false."""
    if text not in {"true", "false"}:
        raise ValueError("is neither true nor false")
    return text == "true"


def url_or_empty(text: str) -> str:
    """Reads an http or https URL, or nothing."""
    scheme, _, rest = text.partition("://")
    if text and (scheme not in {"http", "https"} or not rest):
        raise ValueError("is not http://HOST:PORT or https://HOST:PORT, for example http://127.0.0.1:4317")
    return text


def one_of(*names: str) -> Callable[[str], str]:
    """A parser of one of these names."""

    def parse(text: str) -> str:
        if text not in names:
            raise ValueError(f"is not one of {', '.join(names)}")
        return text

    return parse


def whole_number(lowest: int, highest: int) -> Callable[[str], int]:
    """A parser of whole numbers in a range, ends included."""

    def parse(text: str) -> int:
        if not text.isdecimal() or not lowest <= int(text) <= highest:
            raise ValueError(f"is not a whole number from {lowest} to {highest}")
        return int(text)

    return parse


def bytes_or_default(text: str) -> int | None:
    """Reads a number of bytes from 1 MiB to 1 PiB; empty: None."""
    return whole_number(2**20, 2**50)(text) if text else None


def seconds(lowest: float, highest: float) -> Callable[[str], float]:
    """A parser of seconds in a range, ends included."""

    def parse(text: str) -> float:
        try:
            seconds = float(text)
        except ValueError:
            seconds = math.nan
        if not lowest <= seconds <= highest:
            raise ValueError(f"is not a number of seconds from {lowest:g} to {highest:g}")
        return seconds

    return parse
