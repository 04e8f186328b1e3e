"""Where Prometheus finds the metrics of each replica: a port, and a file for its ``file_sd_configs``.

Replicas of one machine share the setting ``metrics_listen``: each takes the first free port from there on. A file
names the replica's port while the replica lives; the next replica on the machine removes files of processes that are
gone.
"""

from __future__ import annotations

import errno
import json
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from server.observability.metrics_endpoint import MetricsEndpoint
from server.settings import Address, SettingInvalid

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_PORT_COUNT = 64


def listen(address: Address, registry: CollectorRegistry) -> MetricsEndpoint:
    """Serves the metrics at the first free port from ``address`` on. Raises ``SettingInvalid`` where none is free."""
    for port in range(address.port, address.port + _PORT_COUNT):
        try:
            return MetricsEndpoint(Address(address.host, port if address.port else 0), registry)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise SettingInvalid(
                    f"STILLCUE_METRICS_LISTEN {address} cannot be bound: {error.strerror}; choose another address"
                ) from None
    raise SettingInvalid(
        f"STILLCUE_METRICS_LISTEN {address}: this port and the {_PORT_COUNT - 1} above it are in use; choose another"
    )


class TargetFile:
    """The file of one replica in ``folder``."""

    def __init__(self, folder: Path, replica_id: str) -> None:
        self._path = folder / f"{replica_id}.{os.getpid()}.json"

    def write(self, address: Address, labels: dict[str, str]) -> None:
        """Writes the replica's target; an address of all interfaces is told by the name of the machine.

        Raises ``SettingInvalid`` where the folder cannot be written.
        """
        host = socket.gethostname() if address.host in {"0.0.0.0", "::"} else address.host
        content = json.dumps([{"targets": [str(Address(host, address.port))], "labels": labels}])
        temporary = self._path.with_suffix(".part")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            _remove_stale(self._path.parent)
            temporary.write_text(content)
            temporary.replace(self._path)
        except OSError as error:
            raise SettingInvalid(
                f"args.targets_folder {self._path.parent} cannot be written: {error.strerror}; choose another folder, "
                "or leave it out"
            ) from None

    def remove(self) -> None:
        """The replica ends."""
        self._path.unlink(missing_ok=True)


def _remove_stale(folder: Path) -> None:
    """Removes files of processes of this machine that are gone."""
    for path in folder.glob("*.*.json"):
        process_id = path.name.split(".")[-2]
        if process_id.isdecimal() and not Path("/proc", process_id).exists():
            path.unlink(missing_ok=True)
