"""``server``: the sockets of clients, and messages to them from any thread."""

from __future__ import annotations

import asyncio
import io
import json
import struct
from typing import Any, ClassVar

from aiohttp import web
from PIL import ImageOps

from .interruption import throw_exception_if_processing_interrupted
from .prompt_queue import PromptQueue

PREVIEW_IMAGE, TEXT, PREVIEW_IMAGE_WITH_METADATA = 1, 3, 4


class PromptServer:
    """ComfyUI's server, as custom nodes see it."""

    instance: ClassVar[PromptServer]

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        PromptServer.instance = self
        self.loop = loop
        self.routes = web.RouteTableDef()
        self.client_id: str | None = None
        self.last_node_id: str | None = None
        self.last_prompt_id: str | None = None
        self.sockets: dict[str, web.WebSocketResponse] = {}
        self.previews_with_metadata: set[str] = set()
        self.prompt_queue = PromptQueue(self._send_status)
        self._messages: asyncio.Queue[tuple[str | int, Any, str | None]] = asyncio.Queue()

    def send_sync(self, event: str | int, data: Any, sid: str | None = None) -> None:
        """Sends a message to one client, or to all; from any thread."""
        self.loop.call_soon_threadsafe(self._messages.put_nowait, (event, data, sid))

    def send_progress_text(self, text: str, node_id: str, sid: str | None = None) -> None:
        """Shows a text in a node."""
        name = str(node_id).encode()
        self.send_sync(TEXT, struct.pack(">I", len(name)) + name + text.encode(), sid)

    def progress(self, value: int, total: int, preview: Any) -> None:
        """Sends the bar of the running node, and a preview. Raises the interrupt after Cancel."""
        throw_exception_if_processing_interrupted()
        node, prompt = self.last_node_id, self.last_prompt_id
        self.send_sync("progress", {"value": value, "max": total, "prompt_id": prompt, "node": node}, self.client_id)
        if preview is not None and self.client_id is not None:
            kind, picture, side = preview
            buffer = io.BytesIO()
            (picture if side is None else ImageOps.contain(picture, (side, side))).save(buffer, kind)
            if self.client_id in self.previews_with_metadata:
                head = json.dumps(
                    {"node_id": node, "prompt_id": prompt, "image_type": f"image/{kind.lower()}"}
                ).encode()
                data = struct.pack(">I", len(head)) + head + buffer.getvalue()
                self.send_sync(PREVIEW_IMAGE_WITH_METADATA, data, self.client_id)
            else:
                self.send_sync(PREVIEW_IMAGE, struct.pack(">I", 1) + buffer.getvalue(), self.client_id)

    async def publish(self) -> None:
        """Sends messages for ever."""
        while True:
            event, data, sid = await self._messages.get()
            for socket in (
                [self.sockets[sid]] if sid in self.sockets else list(self.sockets.values()) if not sid else []
            ):
                try:
                    if isinstance(event, int):
                        await socket.send_bytes(struct.pack(">I", event) + data)
                    else:
                        await socket.send_json({"type": event, "data": data})
                except ConnectionError:
                    pass

    def status(self) -> dict[str, Any]:
        """Returns the number of prompts that have not ended."""
        running, waiting = self.prompt_queue.get_current_queue_volatile()
        return {"status": {"exec_info": {"queue_remaining": len(running) + len(waiting)}}}

    def _send_status(self) -> None:
        self.send_sync("status", self.status())
