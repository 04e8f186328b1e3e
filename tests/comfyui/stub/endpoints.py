"""ComfyUI's end points that the pack's users reach."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from . import folders, registry
from .interruption import interrupt_current_processing
from .prompt_server import PromptServer
from .validation import validate


def add_endpoints(server: PromptServer) -> None:
    """Adds the end points to the server's routes."""
    routes, queue = server.routes, server.prompt_queue

    @routes.get("/ws")
    async def connect(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        sid = request.query.get("clientId") or uuid.uuid4().hex
        server.sockets[sid] = socket
        await socket.send_json({"type": "status", "data": {**server.status(), "sid": sid}})
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                data = json.loads(message.data)
                if data.get("type") == "feature_flags" and data["data"].get("supports_preview_metadata"):
                    server.previews_with_metadata.add(sid)
        server.sockets.pop(sid, None)
        return socket

    @routes.get("/object_info")
    async def object_info(_request: web.Request) -> web.Response:
        return web.json_response({name: _info(name, kind) for name, kind in registry.NODE_CLASS_MAPPINGS.items()})

    @routes.post("/prompt")
    async def prompt(request: web.Request) -> web.Response:
        body = await request.json()
        outputs, error, node_errors = validate(body["prompt"])
        if error is not None:
            return web.json_response({"error": error, "node_errors": node_errors}, status=400)
        prompt_id = uuid.uuid4().hex
        extra = {**body.get("extra_data", {}), **({"client_id": body["client_id"]} if "client_id" in body else {})}
        queue.put((0, prompt_id, body["prompt"], extra, outputs))
        return web.json_response({"prompt_id": prompt_id, "number": 0, "node_errors": node_errors})

    @routes.get("/history/{prompt_id}")
    async def history(request: web.Request) -> web.Response:
        prompt_id = request.match_info["prompt_id"]
        return web.json_response({key: value for key, value in queue.history.items() if key == prompt_id})

    @routes.get("/history")
    async def whole_history(_request: web.Request) -> web.Response:
        return web.json_response(queue.history)

    @routes.get("/queue")
    async def get_queue(_request: web.Request) -> web.Response:
        running, waiting = queue.get_current_queue_volatile()
        return web.json_response({"queue_running": running, "queue_pending": waiting})

    @routes.post("/queue")
    async def change_queue(request: web.Request) -> web.Response:
        for prompt_id in (await request.json()).get("delete", []):
            queue.delete(prompt_id)
        return web.Response()

    @routes.post("/interrupt")
    async def interrupt(_request: web.Request) -> web.Response:
        interrupt_current_processing()
        return web.Response()

    @routes.post("/upload/image")
    async def upload(request: web.Request) -> web.Response:
        image: Any = (await request.post())["image"]
        (Path(folders.get_input_directory()) / image.filename).write_bytes(image.file.read())
        return web.json_response({"name": image.filename, "subfolder": "", "type": "input"})


def _info(name: str, kind: type[Any]) -> dict[str, Any]:
    types = kind.INPUT_TYPES()
    return {
        "input": types,
        "input_order": {group: list(inputs) for group, inputs in types.items()},
        "output": kind.RETURN_TYPES,
        "output_name": getattr(kind, "RETURN_NAMES", kind.RETURN_TYPES),
        "output_tooltips": getattr(kind, "OUTPUT_TOOLTIPS", ()),
        "name": name,
        "display_name": registry.NODE_DISPLAY_NAME_MAPPINGS.get(name, name),
        "description": getattr(kind, "DESCRIPTION", ""),
        "category": getattr(kind, "CATEGORY", "sd"),
        "output_node": getattr(kind, "OUTPUT_NODE", False),
    }
