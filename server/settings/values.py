"""Parsers of setting values. Each raises ``ValueError`` with a text that completes "VALUE ..."."""

from __future__ import annotations

import ipaddress
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from stillcue.addresses import host_and_port, join_host, unix_path

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
        return join_host(self.host, self.port)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the address."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """The path of a Unix socket, at most 107 bytes."""

    path: str

    def __str__(self) -> str:
        return f"unix:{quote(self.path)}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the address."""
        return True


def address(text: str) -> Address:
    """Reads HOST:PORT."""
    if text.startswith(("unix:", "unix-abstract:")):
        raise ValueError("is a Unix socket, which HTTP does not reach; write HOST:PORT, for example 127.0.0.1:9464")
    if text.startswith("*:"):
        raise ValueError(f"has no host; for every address of this machine write 0.0.0.0{text[1:]} or [::]{text[1:]}")
    return Address(*host_and_port(text, example_host="127.0.0.1", lowest_port=0))


def listen_address(text: str) -> Address | UnixAddress:
    """Reads HOST:PORT or unix:PATH."""
    if text.startswith("unix-abstract:"):
        raise ValueError("is open to every user of this machine, having no file; write unix:PATH")
    return UnixAddress(unix_path(text)) if text.startswith("unix:") else address(text)


def path(text: str) -> Path | None:
    """Reads a path; empty: None."""
    return Path(text) if text else None


def listen_address_or_none(text: str) -> Address | UnixAddress | None:
    """Reads HOST:PORT or unix:PATH; empty: None."""
    return listen_address(text) if text else None


def replica_name(text: str) -> str:
    """Reads the name of a server in a fleet; it may be empty."""
    if not re.fullmatch(r"[A-Za-z0-9._/-]{0,200}", text):
        raise ValueError("is not a name of at most 200 letters, digits and characters of ._-/, for example gpu-1")
    return text


def permissions(text: str) -> int:
    """Reads octal permissions that let the owner read and write."""
    if not re.fullmatch("0?[67][0-7][0-7]", text):
        raise ValueError("is not octal permissions from 600 to 777, for example 660 for owner and group")
    return int(text, 8)


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


def names_or_none(*names: str) -> Callable[[str], tuple[str, ...]]:
    """A parser of some of these names, separated by commas, or of ``none``."""

    def parse(text: str) -> tuple[str, ...]:
        found = tuple(item.strip() for item in text.split(","))
        if text.strip() == "none":
            return ()
        if any(item not in names for item in found):
            raise ValueError(f"is neither none nor a list of {', '.join(names)}, separated by commas")
        return found

    return parse


def whole_number(lowest: int, highest: int) -> Callable[[str], int]:
    """A parser of whole numbers in a range, ends included."""

    def parse(text: str) -> int:
        if not text.isdecimal() or not lowest <= int(text) <= highest:
            raise ValueError(f"is not a whole number from {lowest} to {highest}")
        return int(text)

    return parse


def frame_count(lowest: int, highest: int) -> Callable[[str], int]:
    """A parser of whole numbers 4n + 1 in a range, both ends included."""

    def parse(text: str) -> int:
        number = whole_number(lowest, highest)(text)
        if number % 4 != 1:
            raise ValueError("is not 4n + 1; set 1, 5, 9 or another one of these")
        return number

    return parse


def bytes_or_default(text: str) -> int | None:
    """Reads a number of bytes from 1 MiB to 1 PiB; empty: None."""
    return whole_number(2**20, 2**50)(text) if text else None


def device_name(text: str) -> str:
    """Reads auto, cpu, cuda, or a GPU as cuda:N or cuda:GPU-UUID, a unique beginning of it or cuda:MIG-UUID."""
    if not re.fullmatch(r"auto|cpu|cuda|cuda:(\d{1,3}|(GPU|MIG)-[0-9A-Fa-f-]{1,36})", text):
        raise ValueError("is not auto, cpu, cuda, or one GPU as cuda:1 or cuda:GPU-UUID; `nvidia-smi -L` lists UUIDs")
    return text


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
