"""``python -m server.probe``: exits with 0 when the server on this machine is serving. For container health checks.

The probe connects in plain text to ``health_listen``, or to ``listen`` where the former is unset, and takes no proxy.
"""

from __future__ import annotations

import os
import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from server.settings import Address, SettingInvalid, Settings
from stillcue.proxies import DIRECT

_TIMEOUT_SECONDS = 2.0
_EXIT_MISCONFIGURED = 2
_LOOPBACK_OF_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def main() -> int:
    """Calls the health service. Returns 0 if it is serving, 1 if it is not, 2 if a setting is wrong."""
    try:
        settings = Settings.load(["--engine", "fake"], os.environ)
        target = _plain_text_target(settings)
    except SettingInvalid as error:
        sys.stderr.write(f"stillcue: {error}\n")
        return _EXIT_MISCONFIGURED
    with grpc.insecure_channel(target, options=DIRECT) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=_TIMEOUT_SECONDS
            )
        except grpc.RpcError as error:
            sys.stderr.write(f"not serving: {error.code().name}\n")
            return 1
    return 0 if answer.status == health_pb2.HealthCheckResponse.SERVING else 1


def _plain_text_target(settings: Settings) -> str:
    """The address to call: the one of the setting, and loopback where the server listens on every address."""
    if settings.health_listen is None and settings.is_encrypted:
        raise SettingInvalid(
            "the probe does not use TLS; set STILLCUE_HEALTH_LISTEN=127.0.0.1:50052 for server and probe"
        )
    address = settings.health_listen or settings.listen
    if isinstance(address, Address):
        if address.port == 0:
            raise SettingInvalid(f"the probe cannot know the port of {address}; set STILLCUE_LISTEN with a port")
        address = Address(_LOOPBACK_OF_EVERY_ADDRESS.get(address.host, address.host), address.port)
    return str(address)


if __name__ == "__main__":
    sys.exit(main())
