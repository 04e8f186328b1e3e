"""HTTP requests to the metrics port: which methods and paths it answers, over a real socket."""

from __future__ import annotations

import asyncio
import http.client
from typing import TYPE_CHECKING

import pytest

from engine.testing.fake_engine import FakeEngine
from server.settings import Address
from tests.serving import served

if TYPE_CHECKING:
    from tests.serving import Served


async def ask(server: Served, method: str, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    def request() -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(server.metrics_address.host, server.metrics_address.port, timeout=20)
        try:
            connection.request(method, path, headers=headers)
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        finally:
            connection.close()

    return await asyncio.to_thread(request)


async def test_head_gives_the_headers_of_get_and_no_body() -> None:
    async with served(FakeEngine()) as server:
        status, headers, body = await ask(server, "GET", "/metrics")
        assert (status, headers["Content-Type"].split(";")[0]) == (200, "text/plain")
        assert b"stillcue_serving 1.0" in body
        head_status, head_headers, head_body = await ask(server, "HEAD", "/metrics")
        assert (head_status, head_body) == (200, b"")
        assert head_headers.keys() == headers.keys()
        assert head_headers["Content-Type"] == headers["Content-Type"]
        assert (await ask(server, "GET", "/metrics?name[]=stillcue_serving"))[2].count(b"\n") == 3


async def test_head_sends_nothing_after_its_headers() -> None:
    async with served(FakeEngine()) as server:
        reader, writer = await asyncio.open_connection(server.metrics_address.host, server.metrics_address.port)
        writer.write(b"HEAD /metrics HTTP/1.0\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()
        assert answer.startswith(b"HTTP/1.0 200 OK\r\nServer: stillcue")
        assert answer.endswith(b"\r\n\r\n")
        assert answer.count(b"\r\n\r\n") == 1


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "post"])
async def test_other_methods_are_not_allowed(method: str) -> None:
    async with served(FakeEngine()) as server:
        status, headers, body = await ask(server, method, "/metrics")
    assert (status, headers["Allow"]) == (405, "GET, HEAD")
    assert body == b"only GET and HEAD are allowed\n"


@pytest.mark.parametrize("path", ["/", "/metric", "/metrics/", "/metrics/x", "/favicon.ico", "/%6detrics"])
async def test_other_paths_are_not_found(path: str) -> None:
    async with served(FakeEngine()) as server:
        status, _, body = await ask(server, "GET", path)
        assert (status, body) == (404, b"the metrics are at /metrics\n")
        status, _, body = await ask(server, "HEAD", path)
        assert (status, body) == (404, b"")


async def test_a_metrics_port_of_ipv6() -> None:
    async with served(FakeEngine(), metrics_listen=Address("::1", 0), listen=Address("::1", 0)) as server:
        assert (await ask(server, "HEAD", "/metrics"))[0] == 200
        assert (await server.samples())["stillcue_serving"] == 1
