"""The HTTP port that Prometheus scrapes: ``/metrics``, by GET or HEAD."""

from __future__ import annotations

import io
import socket
import socketserver
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, MetricsHandler

from server.settings import Address

_STOP_POLL_SECONDS = 0.05
_PATH = "/metrics"


class _Handler(MetricsHandler):
    server_version = "stillcue"
    sys_version = ""

    def do_GET(self) -> None:  # noqa: N802
        if urlsplit(self.path).path == _PATH:
            super().do_GET()
        else:
            self._refuse(HTTPStatus.NOT_FOUND, f"the metrics are at {_PATH}")

    def do_HEAD(self) -> None:  # noqa: N802
        self.do_GET()

    def end_headers(self) -> None:
        super().end_headers()
        if self.command == "HEAD":
            self.wfile = io.BytesIO()  # takes the body, which HEAD does not get

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        if code == HTTPStatus.NOT_IMPLEMENTED:  # the library's answer to a method without a do_… of its own
            self._refuse(HTTPStatus.METHOD_NOT_ALLOWED, "only GET and HEAD are allowed", Allow="GET, HEAD")
        else:
            super().send_error(code, message, explain)

    def _refuse(self, status: HTTPStatus, text: str, **headers: str) -> None:
        body = f"{text}\n".encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Type": "text/plain", "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


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
        self._http = kind((address.host, address.port), _Handler.factory(registry))
        self._thread = Thread(target=self._http.serve_forever, args=(_STOP_POLL_SECONDS,), name="metrics", daemon=True)
        self._thread.start()
        self.address = Address(address.host, self._http.server_port)

    def close(self) -> None:
        """Stops serving and closes the port."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
