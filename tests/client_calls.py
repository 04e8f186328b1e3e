"""Generate calls of both clients from their beginning to their end."""

from __future__ import annotations

from typing import Any

import stillcue


def generate(target: str, **options: Any) -> list[stillcue.Event]:
    with stillcue.Client(target) as client:
        return list(client.generate(b"a picture", "A boat.", request_id="an-id", **options))


async def generate_asynchronously(target: str, **options: Any) -> list[stillcue.Event]:
    async with stillcue.AsyncClient(target) as client:
        return [event async for event in client.generate(b"a picture", "A boat.", request_id="an-id", **options)]
