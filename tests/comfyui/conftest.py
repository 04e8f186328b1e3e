"""One ComfyUI for all tests of this folder: the stub, or with ``COMFYUI`` the real one."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from engine.testing.fake_engine import FakeEngine
from tests.comfyui.stillcue_server import ServerThread, serving
from tests.comfyui.stub_comfy import stub_comfy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.comfyui.comfy import Comfy

_ROOT = Path(__file__).parents[2]
PACKS = {"stillcue": _ROOT / "clients" / "comfyui", "capture": Path(__file__).with_name("capture")}


@pytest.fixture(scope="session")
def comfy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comfy]:
    """A running ComfyUI with the pack and the test pack; its ``servers.toml`` is in its folder."""
    base = tmp_path_factory.mktemp("comfyui")
    variables = {"STILLCUE_SERVERS_FILE": str(base / "servers.toml"), "HOME": str(base)}
    (base / "servers.toml").write_text("", encoding="utf-8")
    if "COMFYUI" in os.environ:
        from tests.comfyui.installation import Installation
        from tests.comfyui.real_comfy import real_comfy

        with real_comfy(Installation.from_environment(), base, PACKS, variables) as real:
            yield real
    else:
        with stub_comfy(base, PACKS, variables) as stub:
            yield stub


@pytest.fixture
def servers_file(comfy: Comfy) -> Iterator[Path]:
    """The ``servers.toml`` that the pack reads; empty again after the test."""
    path = comfy.folder / "servers.toml"
    yield path
    path.write_text("", encoding="utf-8")


@pytest.fixture(scope="module")
def server() -> Iterator[ServerThread]:
    """A Stillcue server with the fake engine; modules with other needs have a fixture of their own."""
    with serving(FakeEngine()) as running:
        yield running


@pytest.fixture
def picture(comfy: Comfy, request: pytest.FixtureRequest) -> str:
    """The name of a picture of 48x32 pixels with a gradient, in ComfyUI's input folder."""
    return comfy.put_picture(f"{request.node.name[:80].replace('/', '_')}.png", gradient_png(48, 32))


@pytest.fixture
def captured(comfy: Comfy) -> Callable[[str], Any]:
    """Returns what the test pack captured under a name: an array, or what the JSON file holds."""

    def read(name: str) -> Any:
        folder = comfy.folder / "output" / "captured"
        array = folder / f"{name}.npy"
        if array.exists():
            return np.load(array)
        return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))

    for old in (comfy.folder / "output" / "captured").glob("*"):
        old.unlink()
    return read


def gradient(width_px: int, height_px: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Returns pixels [height, width, 3] of which no row and no column is like another."""
    rows, columns = np.mgrid[0:height_px, 0:width_px]
    channels = (rows * 7 + columns, columns * 5, (rows + columns) * 3)
    return np.stack([channel % 256 for channel in channels], axis=-1).astype(np.uint8)


def gradient_png(width_px: int, height_px: int) -> bytes:
    """Returns ``gradient`` as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(gradient(width_px, height_px)).save(buffer, "PNG")
    return buffer.getvalue()
