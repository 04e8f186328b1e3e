"""Everything that the pack uses of ComfyUI. No other file of the pack names ComfyUI's modules.

The modules are looked up when they are used: ``server`` and ``nodes`` are common names, and a program without ComfyUI
can import the pack.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    import io
    from collections.abc import Awaitable, Callable
    from fractions import Fraction
    from pathlib import Path

    import torch
    from PIL import Image


class ProgressBar(Protocol):
    """``comfy.utils.ProgressBar``: the bar of the node that runs. Raises ComfyUI's interrupt if it was interrupted."""

    def update_absolute(
        self, value: int, total: int | None = None, preview: tuple[str, Image.Image, int | None] | None = None
    ) -> None:
        """Sets the bar; a preview is a format, a picture, and the longest side to which it is scaled."""


def progress_bar(total: int) -> ProgressBar:
    """Returns the bar of the node that runs."""
    return cast("ProgressBar", import_module("comfy.utils").ProgressBar(total))


def is_interrupted() -> bool:
    """Returns True from Cancel until the running node has raised ComfyUI's interrupt."""
    return bool(import_module("comfy.model_management").processing_interrupted())


def raise_if_interrupted() -> None:
    """Raises ComfyUI's interrupt after Cancel; ComfyUI then ends the run without an error."""
    import_module("comfy.model_management").throw_exception_if_processing_interrupted()


def interrupt() -> type[Exception]:
    """Returns the class of ComfyUI's interrupt."""
    return cast("type[Exception]", import_module("comfy.model_management").InterruptProcessingException)


def show_text(text: str, node_id: str) -> None:
    """Shows a text in a node, if a front end started the run."""
    server = _prompt_server()
    if server is not None and server.client_id is not None:
        server.send_progress_text(text, node_id, server.client_id)


def running_graph() -> dict[str, Any]:
    """Returns the graph that runs, by node id; empty if none does."""
    server = _prompt_server()
    running = [] if server is None else server.prompt_queue.get_current_queue_volatile()[0]
    return cast("dict[str, Any]", running[0][2]) if running else {}


def add_route(path: str, answer: Callable[[dict[str, str]], Awaitable[dict[str, Any]]]) -> None:
    """Answers GET requests with JSON; ``answer`` gets the query. Does nothing without a server."""
    server = _prompt_server()
    if server is None:
        return
    web = import_module("aiohttp.web")

    @server.routes.get(path)  # type: ignore[untyped-decorator]
    async def handle(request: Any) -> Any:
        return web.json_response(await answer(dict(request.rel_url.query)))


def video_of_frames(images: torch.Tensor, frame_rate: Fraction) -> object:
    """Returns a VIDEO of frames [count, height, width, 3]; ComfyUI encodes them when it saves them."""
    latest = import_module("comfy_api.latest")
    return latest.InputImpl.VideoFromComponents(latest.Types.VideoComponents(images=images, frame_rate=frame_rate))


def video_of_file(file: io.BytesIO) -> object:
    """Returns a VIDEO of an encoded file."""
    return import_module("comfy_api.latest").InputImpl.VideoFromFile(file)


def blocked(message: str) -> object:
    """Returns an output that stops every node which uses it, with a message."""
    return import_module("comfy_execution.graph").ExecutionBlocker(message)


def temporary_folder() -> Path:
    """Returns the folder of pictures that the front end shows and ComfyUI deletes when it ends."""
    from pathlib import Path

    return Path(import_module("folder_paths").get_temp_directory())


def _prompt_server() -> Any:
    """Returns ComfyUI's server; None while there is none."""
    try:
        module = import_module("server")
    except ImportError:
        return None
    return getattr(getattr(module, "PromptServer", None), "instance", None)
