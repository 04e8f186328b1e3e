"""The server that a Stillcue Server node names."""

from __future__ import annotations

from dataclasses import dataclass

from stillcue.channel import is_loopback


@dataclass(frozen=True)
class ServerLink:
    """Address of a server and its ``tls`` mode (``auto``, ``on``, ``off``), as the workflow holds them."""

    address: str
    tls: str

    @property
    def is_this_machine(self) -> bool:
        """True for an address on this machine."""
        return is_loopback(self.address)
