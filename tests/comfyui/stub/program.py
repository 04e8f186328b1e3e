"""Starts the stub: packs, end points, and the thread that runs prompts."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from aiohttp import web

from . import core_nodes, folders, modules, progress_bar
from .endpoints import add_endpoints
from .executor import Executor
from .packs import load_packs
from .prompt_server import PromptServer


def main(folder: Path) -> None:
    """Serves until the process is ended; prints the port."""
    asyncio.run(_serve(folder))


async def _serve(folder: Path) -> None:
    folders.set_base(folder)
    modules.install()
    server = PromptServer(asyncio.get_running_loop())
    progress_bar.set_progress_bar_global_hook(server.progress)
    core_nodes.register()
    load_packs(folder / "custom_nodes")
    add_endpoints(server)
    app = web.Application(client_max_size=2**28)
    app.add_routes(server.routes)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, shutdown_timeout=1)
    await site.start()
    threading.Thread(target=_run_prompts, args=(server,), daemon=True).start()
    print(runner.addresses[0][1], flush=True)  # noqa: T201
    await server.publish()


def _run_prompts(server: PromptServer) -> None:
    executor = Executor(server)
    while True:
        item = server.prompt_queue.get()
        _, prompt_id, graph, extra, outputs = item
        server.last_prompt_id, server.client_id = prompt_id, extra.get("client_id")
        is_good = executor.execute(prompt_id, graph, outputs)
        status = {"status_str": "success" if is_good else "error", "completed": is_good, "messages": executor.messages}
        server.prompt_queue.done(item, {"outputs": executor.shown, "status": status})
        if server.client_id is not None:
            server.send_sync("executing", {"node": None, "prompt_id": prompt_id}, server.client_id)
