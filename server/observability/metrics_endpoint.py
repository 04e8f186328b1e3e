"""The HTTP port that Prometheus scrapes."""

from __future__ import annotations

import socket
import socketserver
from http.server import ThreadingHTTPServer
from threading import Thread

from prometheus_client import CollectorRegistry, MetricsHandler

from server.settings import Address

_STOP_POLL_SECONDS = 0.05


class _HttpServer(ThreadingHTTPServer):
    def server_bind(self) -> None:
        # HTTPServer would look up the host name in the DNS here, which can take seconds and is of no use.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.socket.getsockname()[:2]


class _HttpServerV6(_HttpServer):
    address_family = socket.AF_INET6


class MetricsEndpoint:
    """Serves a registry on threads of its own. Starts when constructed; raises ``OSError`` where it cannot bind."""

    def __init__(self, address: Address, registry: CollectorRegistry) -> None:
        kind = _HttpServerV6 if ":" in address.host else _HttpServer
        self._http = kind((address.host, address.port), MetricsHandler.factory(registry))
        self._thread = Thread(target=self._http.serve_forever, args=(_STOP_POLL_SECONDS,), name="metrics", daemon=True)
        self._thread.start()
        self.address = Address(address.host, self._http.server_port)

    def close(self) -> None:
        """Stops serving and closes the port."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
