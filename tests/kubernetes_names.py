"""A DNS server on this machine that answers as a cluster's does: with the addresses that pods have right now."""

from __future__ import annotations

import asyncio
import ipaddress
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from server.settings import Address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_ANSWER, _NO_SUCH_NAME = 0x8580, 0x8583
_TYPE_A, _CLASS_IN = 1, 1


class Names(asyncio.DatagramProtocol):
    """``addresses`` are by whole name; they may change at any time. Other names do not exist, other types are empty."""

    def __init__(self) -> None:
        self.addresses: dict[str, str] = {}
        self._transport: Any = None  # a DatagramTransport, by its methods alone before Python 3.12

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answers one query (RFC 1035): the question again, and a record for type A."""
        name, end = _name_at(data, 12)
        (kind,) = struct.unpack(">H", data[end : end + 2])
        address = self.addresses.get(name)
        records = b""
        if address is not None and kind == _TYPE_A:
            packed = ipaddress.IPv4Address(address).packed
            records = struct.pack(">HHHIH", 0xC00C, _TYPE_A, _CLASS_IN, 1, len(packed)) + packed
        flags = _ANSWER if address is not None else _NO_SUCH_NAME
        head = data[:2] + struct.pack(">HHHHH", flags, 1, 1 if records else 0, 0, 0)
        self._transport.sendto(head + data[12 : end + 4] + records, addr)


def _name_at(data: bytes, start: int) -> tuple[str, int]:
    """The name that begins at ``start``, and where it ends."""
    labels = []
    while data[start]:
        labels.append(data[start + 1 : start + 1 + data[start]].decode("ascii").lower())
        start += 1 + data[start]
    return ".".join(labels), start + 1


@asynccontextmanager
async def name_server() -> AsyncIterator[tuple[Names, Address]]:
    """Serves names on a free port."""
    transport, names = await asyncio.get_running_loop().create_datagram_endpoint(Names, local_addr=("127.0.0.1", 0))
    try:
        yield names, Address(*transport.get_extra_info("sockname"))
    finally:
        transport.close()
