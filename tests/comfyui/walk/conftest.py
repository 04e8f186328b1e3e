"""A real ComfyUI with the pack (the folder above starts it), a real Stillcue server with pocket, and a browser."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.comfyui.installation import Installation
from tests.comfyui.serving_process import POCKET, ServingProcess, serving
from tests.comfyui.walk.chromium import chromium
from tests.comfyui.walk.tab import Tab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser

    from tests.comfyui.comfy import Comfy

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test of this folder needs a real ComfyUI."""
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.comfyui)


@pytest.fixture(scope="session")
def installation() -> Installation:
    return Installation.from_environment()


@pytest.fixture(scope="session")
def pocket() -> Iterator[ServingProcess]:
    with serving("--bundle", str(POCKET)) as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def new_tab(installation: Installation, browser: Browser, comfy: Comfy, tmp_path: Path) -> Iterator[Callable[..., Tab]]:
    """Opens tabs: ``new_tab(language="zh-CN")``. Pictures go to the folder of ``COMFYUI_PICTURES``, if it is set."""
    pictures = Path(os.environ.get("COMFYUI_PICTURES") or tmp_path)
    tabs: list[Tab] = []

    def make(language: str = "en", url: str = comfy.url) -> Tab:
        tab = Tab(browser, url, pictures, language)
        tabs.append(tab)
        tab.open()
        return tab

    yield make
    for tab in tabs:
        tab.page.close()


@pytest.fixture
def new_pocket_tab(new_tab: Callable[..., Tab], pocket: ServingProcess) -> Callable[..., Tab]:
    """Opens tabs with pocket's template, the running server and the demo picture: all that is left is Run."""

    def make(**options: str) -> Tab:
        tab = new_tab(**options)
        tab.open_template("pocket_64x64")
        tab.set_widget("StillcueServer", "address", pocket.address)
        tab.upload(DEMO_PICTURE)
        return tab

    return make


DEMO_PICTURE = _HERE.parents[2] / "scripts" / "demo-picture.png"
