"""Gives the stub's modules the names under which custom nodes import ComfyUI's."""

from __future__ import annotations

import sys
from types import ModuleType

from . import blocking, folders, interruption, progress_bar, prompt_server, registry, video


def install() -> None:
    """Registers the modules."""
    comfy, comfy_api, comfy_execution = ModuleType("comfy"), ModuleType("comfy_api"), ModuleType("comfy_execution")
    named: dict[str, ModuleType] = {
        "comfy": comfy,
        "comfy.model_management": interruption,
        "comfy.utils": progress_bar,
        "comfy_api": comfy_api,
        "comfy_api.latest": video,
        "comfy_execution": comfy_execution,
        "comfy_execution.graph": blocking,
        "folder_paths": folders,
        "nodes": registry,
        "server": prompt_server,
    }
    for name, module in named.items():
        sys.modules[name] = module
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(named[parent], child, module)
