"""Loads the packs in ``custom_nodes``. A pack that cannot be imported is told on stderr, and the others go on."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from pathlib import Path

from . import registry


def load_packs(folder: Path) -> None:
    """Imports every folder with an ``__init__.py`` and adds its nodes to the tables."""
    for pack in sorted(folder.iterdir()):
        if (pack / "__init__.py").exists():
            try:
                _load(pack)
            except Exception:  # noqa: BLE001 - a broken pack must not stop the start
                print(f"cannot import {pack}:\n{traceback.format_exc()}", file=sys.stderr)  # noqa: T201


def _load(pack: Path) -> None:
    name = str(pack).replace(".", "_x_")
    spec = importlib.util.spec_from_file_location(name, pack / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    if web := getattr(module, "WEB_DIRECTORY", None):
        registry.EXTENSION_WEB_DIRS[pack.name] = str((pack / web).resolve())
    for node_id, node in module.NODE_CLASS_MAPPINGS.items():
        node.RELATIVE_PYTHON_MODULE = f"custom_nodes.{pack.name}"
        registry.NODE_CLASS_MAPPINGS[node_id] = node
    registry.NODE_DISPLAY_NAME_MAPPINGS.update(getattr(module, "NODE_DISPLAY_NAME_MAPPINGS", {}))
