"""The browser of the walk: Chromium of this machine, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_SECONDS = 60


class BrowserMissing(Exception):
    """Chromium is not installed; the message says how to install it."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Starts Chromium without a window. Raises ``BrowserMissing``."""
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        raise BrowserMissing("the walk needs Chromium: apt-get install chromium, or CHROMIUM=program")
    with sync_playwright() as playwright:
        # Containers give a browser no namespaces to build its sandbox from; the pages are this machine's own.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"], timeout=_SECONDS * 1000)
        try:
            yield browser
        finally:
            browser.close()
