"""``nodes``: the tables of nodes and of folders for the front end."""

from __future__ import annotations

from typing import Any

NODE_CLASS_MAPPINGS: dict[str, type[Any]] = {}
NODE_DISPLAY_NAME_MAPPINGS: dict[str, str] = {}
EXTENSION_WEB_DIRS: dict[str, str] = {}
