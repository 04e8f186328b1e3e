"""The messages of ComfyUI's web socket for one client, read by a thread of their own."""

from __future__ import annotations

import asyncio
import json
import struct
import threading
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

_TEXT, _PREVIEW_WITH_METADATA, _PREVIEW = 3, 4, 1


@dataclass(frozen=True)
class Message:
    """``kind`` is the type of a JSON message, or ``preview`` or ``text``; ``data`` are its fields.

    A preview has ``node_id``, ``image_type`` and ``image`` (an encoded file), a text ``node_id`` and ``text``.
    """

    kind: str
    data: dict[str, Any]

    def ends(self, prompt_id: str) -> bool:
        """Returns True for the last message of a prompt: it succeeded, failed or was interrupted."""
        if self.data.get("prompt_id") != prompt_id:
            return False
        last = {"execution_success", "execution_error", "execution_interrupted"}
        return self.kind in last or (self.kind == "executing" and self.data["node"] is None)


class Listener:
    """A web socket of ComfyUI as a context manager; ``client_id`` goes into POST /prompt."""

    def __init__(self, url: str) -> None:
        self.client_id = uuid.uuid4().hex
        self._url = f"{url.replace('http', 'ws', 1)}/ws?clientId={self.client_id}"
        self._messages: list[Message] = []
        self._arrived = threading.Condition()
        self._is_open = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._closing = asyncio.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._read()), daemon=True)

    @property
    def messages(self) -> list[Message]:
        """Every message so far."""
        with self._arrived:
            return list(self._messages)

    def wait_for(self, matches: Callable[[Message], bool], *, timeout_seconds: float = 60.0) -> Message:
        """Waits for a message and returns it; messages that have arrived count."""
        deadline = time.monotonic() + timeout_seconds
        seen = 0
        while True:
            with self._arrived:
                while len(self._messages) == seen and time.monotonic() < deadline:
                    self._arrived.wait(deadline - time.monotonic())
                fresh = self._messages[seen:]
            if not fresh:
                raise TimeoutError(f"no such message in {timeout_seconds:g} s; the last ones: {self.messages[-5:]}")
            seen += len(fresh)
            for message in fresh:
                if matches(message):
                    return message

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._is_open.wait(20):
            raise TimeoutError(f"{self._url} did not open")
        return self

    def __exit__(self, *exception_info: object) -> None:
        self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join(20)
        self._loop.close()

    async def _read(self) -> None:
        async with aiohttp.ClientSession() as session, session.ws_connect(self._url, max_msg_size=0) as socket:
            await socket.send_json({"type": "feature_flags", "data": {"supports_preview_metadata": True}})
            reader = asyncio.create_task(self._keep_all(socket))
            await self._closing.wait()
            await socket.close()
            await reader

    async def _keep_all(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for received in socket:
            message = _decode_binary(received.data) if isinstance(received.data, bytes) else _decode(received.data)
            with self._arrived:
                self._messages.append(message)
                self._arrived.notify_all()
            self._is_open.set()  # the first message is the server's status


def _decode(text: str) -> Message:
    fields = json.loads(text)
    return Message(fields["type"], fields["data"])


def _decode_binary(data: bytes) -> Message:
    (kind,) = struct.unpack_from(">I", data)
    if kind not in {_TEXT, _PREVIEW, _PREVIEW_WITH_METADATA}:
        return Message(f"binary {kind}", {"data": data[4:]})
    if kind == _PREVIEW:
        return Message("preview", {"image": data[8:]})
    (length,) = struct.unpack_from(">I", data, 4)
    head, rest = data[8 : 8 + length], data[8 + length :]
    if kind == _TEXT:
        return Message("text", {"node_id": head.decode(), "text": rest.decode()})
    return Message("preview", {**json.loads(head), "image": rest})
