"""Frames of a real model through ComfyUI, byte for byte those of the Python client."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

import stillcue
from tests.comfyui.graphs import GENERATE, PREPARE, capture, generate_node, match_node, prepare_graph
from tests.server_processes import FREE_PORTS, line_of, start_process

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.comfyui.comfy import Comfy

_ROOT = Path(__file__).parents[2]
_PICTURE = _ROOT / "clients" / "comfyui" / "example_workflows" / "demo-picture.png"
_SENTENCE = "A red car slowly rolls to the right, the scene gets darker."


@pytest.mark.walk
@pytest.mark.parametrize("fit", ["crop_subject", "crop_center", "pad"])
async def test_a_clip_of_pocket_is_that_of_the_python_client(
    comfy: Comfy, captured: Callable[[str], Any], fit: str
) -> None:
    """The client sends the picture as it is and lets the server fit it; the pack sends the fitted one."""
    wide = _wide_picture()
    name = comfy.put_picture("wide.png", wide)
    process = await start_process("-m", "server", "--bundle", str(_ROOT / "pocket" / "model"), *FREE_PORTS)
    try:
        address = (await line_of(process.stdout)).split(" ")[2].removeprefix("grpc=")
        graph = {
            **prepare_graph(address, name, prompt=_SENTENCE, fit=fit),
            **match_node(prompt=_SENTENCE),
            **generate_node(prompt=_SENTENCE, steps=4),
            **capture("frames", GENERATE, 1),
            **capture("preview", PREPARE, 1),
        }
        finished = await asyncio.to_thread(comfy.run, graph, timeout_seconds=300)
        assert finished.error == ""
        events = await asyncio.to_thread(_generate, address, wide, fit)
    finally:
        process.terminate()
        await process.communicate()
    frames = b"".join(event.data for event in events if isinstance(event, stillcue.Frame))
    assert np.rint(captured("frames") * 255).astype(np.uint8).tobytes() == frames


def _wide_picture() -> bytes:
    """Returns a picture of another shape than the clip's 64x64, so that there is something to cut away."""
    buffer = io.BytesIO()
    with Image.open(_PICTURE) as picture:
        picture.resize((151, 97), Image.Resampling.BICUBIC).save(buffer, "PNG")
    return buffer.getvalue()


def _generate(address: str, picture: bytes, fit: str) -> list[stillcue.Event]:
    with stillcue.Client(address) as client:
        return list(
            client.generate(
                picture,
                _SENTENCE,
                seed=7,
                step_count=4,
                picture_fit=stillcue.PictureFit(fit),
                frame_encoding=stillcue.FrameEncoding.RAW_RGB,
            )
        )
