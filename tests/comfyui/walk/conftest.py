"""A real ComfyUI with the pack, a real Stillcue server with pocket, and a browser."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.comfyui.installation import Installation
from tests.comfyui.real_comfy import RealComfy, real_comfy
from tests.comfyui.serving_process import POCKET, ROOT, ServingProcess, serving
from tests.comfyui.walk.chromium import chromium
from tests.comfyui.walk.tab import Tab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser

PACK = ROOT / "clients" / "comfyui"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test of this folder needs a real ComfyUI."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.comfyui)


@pytest.fixture(scope="session")
def installation() -> Installation:
    found = Installation.from_environment()
    found.check()
    return found


@pytest.fixture(scope="session")
def comfy(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealComfy]:
    folder = tmp_path_factory.mktemp("comfyui")
    variables = {"STILLCUE_SERVERS_FILE": str(folder / "servers.toml")}
    with real_comfy(installation, folder, {"stillcue": PACK}, variables) as running:
        yield running


@pytest.fixture(scope="session")
def pocket() -> Iterator[ServingProcess]:
    with serving("--bundle", str(POCKET)) as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def new_tab(browser: Browser, comfy: RealComfy, tmp_path: Path) -> Iterator[Callable[..., Tab]]:
    """Opens tabs: ``new_tab(language="zh-CN")``. Pictures go to the folder of ``COMFYUI_PICTURES``, if it is set."""
    pictures = Path(os.environ.get("COMFYUI_PICTURES") or tmp_path)
    tabs: list[Tab] = []

    def make(language: str = "en") -> Tab:
        tab = Tab(browser, comfy.url, pictures, language)
        tabs.append(tab)
        tab.open()
        return tab

    yield make
    for tab in tabs:
        tab.page.close()


@pytest.fixture
def tab(new_tab: Callable[..., Tab], pocket: ServingProcess) -> Tab:
    """A tab with pocket's template, whose server is the running one and whose picture is still missing."""
    opened = new_tab()
    opened.open_template("Stillcue", "pocket_64x64")
    opened.set_widget("StillcueServer", "address", pocket.address)
    return opened
