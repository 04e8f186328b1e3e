"""``python -m server.probe``: exit status 0 when the server on this machine is serving. For container health checks."""

from __future__ import annotations

import os
import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from server.settings import Settings

_TIMEOUT_SECONDS = 2.0


def main() -> int:
    """Asks the health service of the port that the server's own settings name."""
    port = Settings.load(["--engine", "fake"], os.environ).listen.port
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=_TIMEOUT_SECONDS
            )
        except grpc.RpcError as error:
            sys.stderr.write(f"not serving: {error.code().name}\n")
            return 1
    return 0 if answer.status == health_pb2.HealthCheckResponse.SERVING else 1


if __name__ == "__main__":
    sys.exit(main())
