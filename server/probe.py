"""``python -m server.probe``: exits with 0 when the server on this machine is serving. For container health checks.

The probe connects in plain text to the port of ``health_listen``, or to that of ``listen`` where the former is unset.
"""

from __future__ import annotations

import os
import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from server.settings import SettingInvalid, Settings

_TIMEOUT_SECONDS = 2.0
_EXIT_MISCONFIGURED = 2


def main() -> int:
    """Calls the health service. Returns 0 if it is serving, 1 if it is not, 2 if a setting is wrong."""
    try:
        settings = Settings.load(["--engine", "fake"], os.environ)
        port = _plain_text_port(settings)
    except SettingInvalid as error:
        sys.stderr.write(f"stillcue: {error}\n")
        return _EXIT_MISCONFIGURED
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=_TIMEOUT_SECONDS
            )
        except grpc.RpcError as error:
            sys.stderr.write(f"not serving: {error.code().name}\n")
            return 1
    return 0 if answer.status == health_pb2.HealthCheckResponse.SERVING else 1


def _plain_text_port(settings: Settings) -> int:
    if settings.health_listen is not None:
        return settings.health_listen.port
    if settings.is_encrypted:
        raise SettingInvalid(
            "the probe does not use TLS; set STILLCUE_HEALTH_LISTEN=127.0.0.1:50052 for server and probe"
        )
    return settings.listen.port


if __name__ == "__main__":
    sys.exit(main())
